/**
 * WebGL2: straight lines and discs, all of a frame in one draw call, under the crowd on the same canvas. A 2-D canvas of the size of the
 * window costs more than everything else on this page where there is no GPU.
 *
 *   instance (24 bytes) = ax f32 | ay f32 | bx f32 | by f32 (device px from the top left) | half f32 px, negative for a disc | rgba u8×4
 */
import type { Rgba } from "./palette.ts";

const STRIDE = 24;

const vertex = `#version 300 es
layout(location=0) in vec4 ends;
layout(location=1) in float halfWidth;
layout(location=2) in vec4 colour;
uniform vec2 size;
out vec2 p;
flat out vec3 box;
flat out vec4 rgba;
void main() {
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1)) * 2.0 - 1.0;
  vec2 mid = (ends.xy + ends.zw) * 0.5;
  vec2 run = ends.zw - ends.xy;
  float len = length(run);
  vec2 along = len > 0.0 ? run / len : vec2(1.0, 0.0);
  float h = abs(halfWidth);
  box = vec3(halfWidth < 0.0 ? h : len * 0.5, h, halfWidth);
  p = corner * (box.xy + 1.0);
  vec2 px = mid + along * p.x + vec2(-along.y, along.x) * p.y;
  gl_Position = vec4(px.x / size.x * 2.0 - 1.0, 1.0 - px.y / size.y * 2.0, 0.0, 1.0);
  rgba = colour;
}`;

const fragment = `#version 300 es
precision highp float;
in vec2 p;
flat in vec3 box;
flat in vec4 rgba;
out vec4 frag;
void main() {
  vec2 q = abs(p) - box.xy;
  float d = box.z < 0.0 ? length(p) - box.y : max(q.x, q.y);
  float a = clamp(0.5 - d, 0.0, 1.0) * rgba.a;
  frag = vec4(rgba.rgb * a, a);
}`;

/** link compiles a program; a shader that does not compile is a mistake of ours, so it throws. */
export function link(gl: WebGL2RenderingContext, vertexSource: string, fragmentSource: string): WebGLProgram {
  const program = gl.createProgram()!;
  for (const [type, source] of [[gl.VERTEX_SHADER, vertexSource], [gl.FRAGMENT_SHADER, fragmentSource]] as const) {
    const shader = gl.createShader(type)!;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const logs = gl.getAttachedShaders(program)?.map((s) => gl.getShaderInfoLog(s)).join(" ");
    throw new Error(`the shaders do not link: ${gl.getProgramInfoLog(program)} ${logs}`);
  }
  return program;
}

/** Lines gathers lines in CSS pixels and draws them in device pixels. */
export class Lines {
  private readonly floats = new Float32Array((STRIDE / 4) * 2048);
  private readonly bytes = new Uint8Array(this.floats.buffer);
  private count = 0;
  private dpr = 1;
  private program!: WebGLProgram;
  private vao!: WebGLVertexArrayObject;
  private buffer!: WebGLBuffer;
  private size: WebGLUniformLocation | null = null;

  constructor(private readonly gl: WebGL2RenderingContext) {
    this.prepare();
  }

  /** prepare makes the GL objects, again after a lost context. */
  prepare(): void {
    const gl = this.gl;
    this.program = link(gl, vertex, fragment);
    this.size = gl.getUniformLocation(this.program, "size");
    this.vao = gl.createVertexArray()!;
    gl.bindVertexArray(this.vao);
    this.buffer = gl.createBuffer()!;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, this.floats.byteLength, gl.DYNAMIC_DRAW);
    const layout = [[0, 4, gl.FLOAT, false, 0], [1, 1, gl.FLOAT, false, 16], [2, 4, gl.UNSIGNED_BYTE, true, 20]] as const;
    for (const [location, n, type, normal, offset] of layout) {
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, n, type, normal, STRIDE, offset);
      gl.vertexAttribDivisor(location, 1);
    }
    gl.bindVertexArray(null);
  }

  begin(dpr: number): void {
    this.count = 0;
    this.dpr = dpr;
  }

  /** line from (ax, ay) to (bx, by) of a width in CSS pixels; beyond the buffer's 2,048 it is dropped. */
  line(ax: number, ay: number, bx: number, by: number, width: number, c: Rgba, alpha = 1): void {
    this.put(ax, ay, bx, by, Math.max(0.5, (width * this.dpr) / 2), c, alpha);
  }

  disc(x: number, y: number, radius: number, c: Rgba, alpha = 1): void {
    this.put(x, y, x, y, -radius * this.dpr, c, alpha);
  }

  /** ring is a circle of lines; dash skips every second one. */
  ring(x: number, y: number, radius: number, width: number, c: Rgba, alpha: number, dash = 0): void {
    const n = dash > 0 ? 2 * Math.max(6, Math.round((Math.PI * radius) / dash)) : Math.max(24, Math.min(160, Math.round(radius)));
    const step = (2 * Math.PI) / n;
    for (let i = 0; i < n; i += dash > 0 ? 2 : 1) {
      const a = i * step;
      this.line(x + Math.cos(a) * radius, y + Math.sin(a) * radius, x + Math.cos(a + step) * radius, y + Math.sin(a + step) * radius, width, c, alpha);
    }
  }

  private put(ax: number, ay: number, bx: number, by: number, half: number, c: Rgba, alpha: number): void {
    const f = this.count * (STRIDE / 4);
    if (f >= this.floats.length) return;
    const d = this.dpr;
    this.floats[f] = ax * d;
    this.floats[f + 1] = ay * d;
    this.floats[f + 2] = bx * d;
    this.floats[f + 3] = by * d;
    this.floats[f + 4] = half;
    const at = this.count * STRIDE + 20;
    this.bytes[at] = c[0];
    this.bytes[at + 1] = c[1];
    this.bytes[at + 2] = c[2];
    this.bytes[at + 3] = c[3] * alpha * 255;
    this.count++;
  }

  /** draw shows the lines; the viewport is the caller's. */
  draw(width: number, height: number): void {
    const gl = this.gl;
    gl.useProgram(this.program);
    gl.bindVertexArray(this.vao);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, this.bytes, 0, this.count * STRIDE);
    gl.uniform2f(this.size, width, height);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.count);
    gl.bindVertexArray(null);
  }
}
