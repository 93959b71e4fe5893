/** As much of the `ws` package's types as the tests use: it has none of its own. */
declare module "ws" {
  export default class WebSocket {
    constructor(url: string, protocols: string[], options?: object);
    readonly protocol: string;
    readonly extensions: string;
    binaryType: string;
    on(event: string, listener: (...args: any[]) => void): this;
    once(event: string, listener: (...args: any[]) => void): this;
    send(data: string | Uint8Array, options?: { fin?: boolean; binary?: boolean }, sent?: () => void): void;
    ping(data?: string | Uint8Array): void;
    pong(data?: string | Uint8Array): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
  }
}
