// The obsrv binary under test, as a process of its own.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { Metadata } from "@grpc/grpc-js";

export const KEY = "tk_test_bootstrap_0123456789";
const READY_MS = 20_000;
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const BINARY = path.resolve(process.env.OBSRV_BIN ?? path.join(ROOT, "target/debug/obsrv"));

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

export class Obsrv {
  static async start({ port, flags = [] } = {}) {
    const server = new Obsrv();
    server.flags = flags;
    server.folder = await mkdtemp(path.join(tmpdir(), "obsrv-node-"));
    // The server finds free ones, and says which.
    server.port = port ?? 0;
    server.grpcPort = 0;
    await server.run();
    return server;
  }

  async run() {
    const flags = ["serve", "--data", path.join(this.folder, "data"), "--http", `127.0.0.1:${this.port}`];
    flags.push("--grpc", `127.0.0.1:${this.grpcPort}`, ...this.flags);
    const environment = { ...process.env, OBSRV_BOOTSTRAP_KEY: KEY };
    this.said = "";
    this.child = spawn(BINARY, flags, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on("data", (part) => (this.said = (this.said + part).slice(-4000)));
    }
    const { address, grpc } = await this.ready();
    this.port = Number(address.split(":").at(-1));
    this.grpcPort = Number(grpc.split(":").at(-1));
    this.url = `http://127.0.0.1:${this.port}`;
  }

  /** The line of the log in which the server is ready and tells where. */
  async ready() {
    const giveUp = setTimeout(() => this.child.kill("SIGKILL"), READY_MS);
    try {
      for await (const line of createInterface({ input: this.child.stderr })) {
        if (!line.includes('"ready"')) continue;
        const said = JSON.parse(line);
        if (said.message === "ready") return said;
      }
    } finally {
      clearTimeout(giveUp);
      this.child.stderr.resume();
    }
    throw new Error(`obsrv is not ready:\n${this.said}`);
  }

  /** What an exporter of OpenTelemetry is told: where, and with which key. */
  exporterOf(form, route) {
    if (form !== "grpc") return { url: this.url + route, headers: { "x-api-key": KEY } };
    const metadata = new Metadata();
    metadata.set("x-api-key", KEY);
    return { url: `http://127.0.0.1:${this.grpcPort}`, metadata };
  }

  async kill() {
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await gone;
  }

  async restart() {
    await this.kill();
    await this.run();
  }

  async end() {
    await this.kill();
    await rm(this.folder, { recursive: true });
  }

  async trace(id) {
    const answer = await fetch(`${this.url}/v1/traces/${id}`, { headers: { "x-api-key": KEY } });
    if (answer.status !== 200) throw new Error(`GET /v1/traces/${id}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
}
