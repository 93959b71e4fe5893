/**
 * The harness that holds the two twins of a movement step together: pkg/game/movement/steptest runs the one in Go and writes a vectors file, checkSteps runs
 * the one in TypeScript over it. It is meant for tests.
 */

/** Row is a struct of whole numbers, and of structs of them. Booleans are 0 and 1. */
export type Row = { [field: string]: number | Row };

/** Vectors is what a vectors file holds: structs are rows of numbers, in the order of the heads. */
export interface Vectors {
  rule: string;
  world: string[];
  state: string[];
  input: string[];
  cases: { name: string; world: number[]; start: number[]; inputs: number[][]; want: number[][] }[];
}

/** StepDifference is thrown at the first step whose result is another than in Go. */
export class StepDifference extends Error {
  constructor(readonly rule: string, readonly caseName: string, readonly step: number, readonly field: string, readonly got: number, readonly want: number) {
    super(`${rule}: case "${caseName}", step ${step}: ${field} is ${got}, want ${want}`);
    this.name = "StepDifference";
  }
}

function unpack(names: readonly string[], values: readonly number[]): Row {
  const row: Row = {};
  names.forEach((name, i) => {
    const path = name.split(".");
    const last = path.pop()!;
    let at = row;
    for (const part of path) at = (at[part] ??= {}) as Row;
    at[last] = values[i]!;
  });
  return row;
}

function value(row: Row, name: string): number {
  let at: number | Row = row;
  for (const part of name.split(".")) at = (at as Row)[part]!;
  return Number(at);
}

/** checkSteps runs a step, which changes the state it is given, over a vectors file, and returns how many steps it made. W, S and I are the twin's own types. */
export function checkSteps<W, S, I>(vectors: Vectors, step: (world: W, state: S, input: I) => void): number {
  let steps = 0;
  for (const c of vectors.cases) {
    if (c.want?.length !== c.inputs.length) throw new RangeError(`${vectors.rule}: case "${c.name}" has ${c.inputs.length} inputs and ${c.want?.length} results`);
    const world = unpack(vectors.world, c.world);
    const state = unpack(vectors.state, c.start);
    c.inputs.forEach((input, i) => {
      step(world as W, state as S, unpack(vectors.input, input) as I);
      vectors.state.forEach((field, j) => {
        const got = value(state, field);
        const want = c.want[i]![j]!;
        if (got !== want) throw new StepDifference(vectors.rule, c.name, i, field, got, want); // NaN is never equal
      });
      steps++;
    });
  }
  return steps;
}
