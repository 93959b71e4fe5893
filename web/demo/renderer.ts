/**
 * WebGL2: every entity is one instance of one quad, all in one draw call. The fragment shader cuts the shape out of the quad by its
 * signed distance, so edges stay smooth at any zoom.
 *
 *   instance (24 bytes) = x f32 m | z f32 m (from the camera's centre) | heading f32 rad | radius f32 m | rgba u8×4 | shape u8 | pulse u8 | 0 | 0
 */

import { Lines, link } from "./lines.ts";

/** Shape numbers the outlines that the shader knows: kinds differ in it, not in colour alone. */
export const Shape = { pebble: 0, dart: 1, own: 2, player: 3, wolf: 4, coin: 5, den: 6 } as const;

const STRIDE = 24;

const vertex = `#version 300 es
layout(location=0) in vec2 at;
layout(location=1) in float heading;
layout(location=2) in float radius;
layout(location=3) in vec4 colour;
layout(location=4) in vec2 look;
uniform vec2 view;      // half the canvas, device px
uniform float scale;    // device px per m
uniform float least;    // least radius, device px
out vec2 p;
flat out vec4 rgba;
flat out float px;
flat out int shape;
flat out float pulse;
void main() {
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1)) * 2.0 - 1.0;
  shape = int(look.x + 0.5);
  pulse = look.y / 255.0;
  px = max(radius * scale, shape == 2 || shape == 6 ? least * 2.2 : least);
  float pad = shape == 2 ? 4.2 : pulse > 0.0 ? 2.6 : 1.0 + 1.5 / px;
  float c = cos(heading), s = sin(heading);
  p = corner * pad;
  vec2 world = vec2(p.x * c - p.y * s, p.x * s + p.y * c) * px + at * scale;
  gl_Position = vec4(world.x / view.x, -world.y / view.y, 0.0, 1.0);
  rgba = colour;
}`;

const fragment = `#version 300 es
precision highp float;
in vec2 p;
flat in vec4 rgba;
flat in float px;
flat in int shape;
flat in float pulse;
out vec4 frag;
float dart(vec2 q) {                       // an arrowhead: two half-planes, mirrored
  q.y = abs(q.y);
  float edge = dot(q - vec2(1.0, 0.0), normalize(vec2(0.70, 1.72)));
  float notch = dot(q - vec2(-0.42, 0.0), normalize(vec2(-0.70, -0.40)));
  return max(edge, notch);
}
float drop(vec2 q) {                       // a pebble with a short nose
  float body = length(q + vec2(0.12, 0.0)) - 0.62;
  q.y = abs(q.y);
  float nose = max(dot(q - vec2(0.82, 0.0), normalize(vec2(0.62, 0.78))), 0.2 - q.x);
  return min(body, nose);
}
float wolf(vec2 q) {                       // a muzzle and two ears
  q.y = abs(q.y);
  float head = max(dot(q - vec2(1.0, 0.0), normalize(vec2(0.62, 1.15))), -q.x - 0.45);
  vec2 tip = q - vec2(-1.05, 0.8);
  float ear = max(max(dot(tip, normalize(vec2(0.08, 0.75))), dot(tip, normalize(vec2(-0.65, -0.6)))), q.x + 0.3);
  return min(head, ear);
}
float square(vec2 q, float half_) { return max(abs(q.x), abs(q.y)) - half_; }
float arch(vec2 q, float r) {              // half a disc that stands on a block
  return max(min(length(q) - r, max(abs(q.x) - r, -q.y)), q.y - 0.6);
}
void main() {
  float aa = 1.0 / px;
  if (px < 3.4 && shape != 2 && pulse == 0.0) {  // thousands of dots: nothing else to work out
    float dot = (1.0 - smoothstep(-aa, aa, length(p) - 0.85)) * rgba.a;
    frag = vec4(rgba.rgb * dot, dot);
    return;
  }
  float d = px < 3.4 ? length(p) - 0.85 : shape == 0 ? drop(p) : shape == 4 ? wolf(p) : shape == 5 ? max(length(p) - 0.85, -square(p, 0.28)) : shape == 6 ? arch(p, 0.95) : dart(p);
  float fill = 1.0 - smoothstep(-aa, aa, d);
  vec3 tint = rgba.rgb;
  if (px > 5.0 && shape < 5) {
    float light = 0.86 + 0.22 * smoothstep(-0.9, 0.8, p.x);
    tint *= light;
  }
  if (shape == 4 && px > 6.0) tint *= 0.2 + 0.8 * smoothstep(0.0, 1.5 * aa, length(vec2(p.x - 0.1, abs(p.y) - 0.28)) - 0.13);
  if (shape == 5 && px > 4.0) tint *= 0.66 + 0.34 * smoothstep(0.0, 1.5 * aa, abs(length(p) - 0.62) - 0.04);
  if (shape == 6) tint *= 0.12 + 0.88 * smoothstep(-aa, aa, arch(p - vec2(0.0, 0.14), 0.5));
  float a = fill;
  if (shape == 3 && px >= 3.4) {           // other players wear an outline
    float line = 1.0 - smoothstep(0.0, 1.5 * aa, abs(d + 1.2 * aa) - 0.6 * aa);
    tint = mix(tint, vec3(1.0), 0.75 * line * fill);
  }
  if (shape == 2) {
    float r = length(p);
    float ring = 1.0 - smoothstep(0.0, 1.4 * aa, abs(r - 1.75) - 0.7 * aa);
    float halo = pow(max(0.0, 1.0 - r / 4.2), 2.4) * 0.55;
    a = max(a, max(ring * 0.85, halo));
    tint = mix(rgba.rgb, tint, fill);
  }
  if (pulse > 0.0) {
    float r = length(p);
    float at = 1.0 + (1.0 - pulse) * 1.4;
    float ring = 1.0 - smoothstep(0.0, 1.4 * aa, abs(r - at) - 0.8 * aa);
    a = max(a, ring * pulse * 0.8);
  }
  a *= rgba.a;
  if (a < 0.004) discard;
  frag = vec4(tint * a, a);
}`;

/** Renderer owns the WebGL2 context of one canvas. */
export class Renderer {
  private data = new ArrayBuffer(STRIDE * 1024);
  private floats = new Float32Array(this.data);
  private bytes = new Uint8Array(this.data);
  private bufferSize = 0;
  private readonly gl: WebGL2RenderingContext;
  private program!: WebGLProgram;
  private buffer!: WebGLBuffer;
  private vao!: WebGLVertexArrayObject;
  /** lines are drawn first, under the crowd; over, above it. */
  readonly lines: Lines;
  readonly over: Lines;
  private uniforms!: { view: WebGLUniformLocation | null; scale: WebGLUniformLocation | null; least: WebGLUniformLocation | null };
  /** count of instances put since begin. */
  count = 0;

  private constructor(private readonly canvas: HTMLCanvasElement, gl: WebGL2RenderingContext) {
    this.gl = gl;
    this.lines = new Lines(gl);
    this.over = new Lines(gl);
    this.prepare();
    canvas.addEventListener("webglcontextlost", (e) => e.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.lines.prepare();
      this.over.prepare();
      this.prepare();
    });
  }

  /** create returns undefined where WebGL2 is missing. */
  static create(canvas: HTMLCanvasElement): Renderer | undefined {
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, depth: false, stencil: false, premultipliedAlpha: true });
    return gl === null ? undefined : new Renderer(canvas, gl);
  }

  private prepare(): void {
    const gl = this.gl;
    this.program = link(gl, vertex, fragment);
    const program = this.program;
    this.uniforms = {
      view: gl.getUniformLocation(program, "view"), scale: gl.getUniformLocation(program, "scale"), least: gl.getUniformLocation(program, "least"),
    };
    this.vao = gl.createVertexArray()!;
    gl.bindVertexArray(this.vao);
    this.buffer = gl.createBuffer()!;
    this.bufferSize = 0;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    const attribute = (location: number, size: number, type: number, normal: boolean, offset: number): void => {
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, size, type, normal, STRIDE, offset);
      gl.vertexAttribDivisor(location, 1);
    };
    attribute(0, 2, gl.FLOAT, false, 0);
    attribute(1, 1, gl.FLOAT, false, 8);
    attribute(2, 1, gl.FLOAT, false, 12);
    attribute(3, 4, gl.UNSIGNED_BYTE, true, 16);
    attribute(4, 2, gl.UNSIGNED_BYTE, false, 20);
    gl.bindVertexArray(null);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.clearColor(0, 0, 0, 0);
  }

  begin(): void {
    this.count = 0;
  }

  /** put adds an instance: metres from the camera's centre, heading in radians, colour 0-255, alpha and pulse 0-1. */
  put(x: number, z: number, heading: number, radius: number, r: number, g: number, b: number, alpha: number, shape: number, pulse: number): void {
    if ((this.count + 1) * STRIDE > this.data.byteLength) {
      const grown = new ArrayBuffer(this.data.byteLength * 2);
      new Uint8Array(grown).set(this.bytes);
      this.data = grown;
      this.floats = new Float32Array(grown);
      this.bytes = new Uint8Array(grown);
    }
    const f = this.count * (STRIDE / 4);
    this.floats[f] = x;
    this.floats[f + 1] = z;
    this.floats[f + 2] = heading;
    this.floats[f + 3] = radius;
    const at = this.count * STRIDE + 16;
    this.bytes[at] = r;
    this.bytes[at + 1] = g;
    this.bytes[at + 2] = b;
    this.bytes[at + 3] = alpha * 255;
    this.bytes[at + 4] = shape;
    this.bytes[at + 5] = pulse * 255;
    this.count++;
  }

  /** draw shows what was put: scale and least in device pixels. */
  draw(scale: number, least: number): void {
    const gl = this.gl;
    if (gl.isContextLost()) return;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.lines.draw(this.canvas.width, this.canvas.height);
    gl.useProgram(this.program);
    gl.bindVertexArray(this.vao);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.uniform2f(this.uniforms.view, this.canvas.width / 2, this.canvas.height / 2);
    gl.uniform1f(this.uniforms.scale, scale);
    gl.uniform1f(this.uniforms.least, least);
    if (this.bufferSize < this.data.byteLength) {
      this.bufferSize = this.data.byteLength;
      gl.bufferData(gl.ARRAY_BUFFER, this.bufferSize, gl.DYNAMIC_DRAW);
    }
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, this.bytes, 0, this.count * STRIDE);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.count);
    gl.bindVertexArray(null);
    this.over.draw(this.canvas.width, this.canvas.height);
  }
}
