// The bench's actors as a Durable Object, in the same frames and under the same paths, written for
// speed: the count is kept in memory and written by one prepared statement a call. The output gate
// holds each reply until the write is durable.
import { DurableObject } from "cloudflare:workers";

export class BenchObject extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY, count INTEGER)");
    this.count = [...this.sql.exec("SELECT count FROM state")][0]?.count ?? 0;
    this.published = 0;
    this.subscribers = new Set();
  }

  increment() {
    this.count += 1;
    this.sql.exec("INSERT OR REPLACE INTO state VALUES (1, ?)", this.count);
    return this.count;
  }

  get() {
    return this.count;
  }

  ready() {
    return true;
  }

  publish() {
    this.published += 1;
    const event = JSON.stringify({ body: { ev: { n: "tick", a: [this.published] } } });
    for (const socket of this.subscribers) socket.send(event);
    return this.published;
  }

  onMessage(socket, text) {
    const { rr, sr } = JSON.parse(text).body;
    if (sr) {
      this.subscribers.add(socket);
      return;
    }
    const output = ACTIONS[rr.n].apply(this, rr.a);
    socket.send(JSON.stringify({ body: { ro: { i: rr.i, o: output } } }));
  }

  async fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", (event) => this.onMessage(server, event.data));
    server.addEventListener("close", () => this.subscribers.delete(server));
    return new Response(null, { status: 101, webSocket: client });
  }
}

const ACTIONS = {
  increment: BenchObject.prototype.increment,
  get: BenchObject.prototype.get,
  ready: BenchObject.prototype.ready,
  publish: BenchObject.prototype.publish,
};

export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path === "/health") return new Response("ok");
    return env.objects.get(env.objects.idFromName(path)).fetch(request);
  },
};
