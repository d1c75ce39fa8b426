// A connection to one actor: Denizen's protocol, version 1, in JSON. Knows nothing of the page.

const MOVING = 1012;
const REFUSED = 1008;
const PAUSE_MAX_MS = 10_000;
const SETTLED_AFTER_MS = 5_000;
const CALL_TIMEOUT_MS = 15_000;

/** What the actor, or the connection to it, answered instead of a result. */
export class ActorError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * Connects, and connects again whenever the connection is lost, with growing pauses.
 *
 * States, given to `onState(state, error)`: "connecting", "open", "waiting" (for the next
 * attempt), "refused" (with the reason; nothing more is tried) and "closed".
 */
export class Connection {
  #url;
  #onState;
  #handlers = new Map();
  #calls = new Map();
  #nextId = 0;
  #socket = null;
  #failures = 0;
  #timer = null;
  #refusal = null;

  constructor(actorUrl, params, onState) {
    const url = new URL(actorUrl, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ version: 1, format: "json", params: JSON.stringify(params) });
    this.#url = url;
    this.#onState = onState;
  }

  /** Hear an event. To be said before `open`. */
  on(event, handler) {
    this.#handlers.set(event, handler);
  }

  open() {
    clearTimeout(this.#timer);
    this.#onState("connecting");
    const socket = (this.#socket = new WebSocket(this.#url));
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data).body);
    socket.onclose = ({ code }) => this.#closed(code);
  }

  /** Try at once instead of waiting for the end of the pause. */
  hurry() {
    if (this.#timer !== null && this.#socket === null) this.open();
  }

  close() {
    clearTimeout(this.#timer);
    if (this.#socket) this.#socket.onclose = null;
    this.#socket?.close(1000);
    this.#socket = null;
    this.#settleAll("The connection was closed.");
    this.#onState("closed");
  }

  /** Call an action. Rejects with an `ActorError`. */
  call(action, ...args) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) {
        reject(new ActorError("not_connected", "There is no connection at the moment."));
        return;
      }
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#settle(id)?.reject(new ActorError("timed_out", "No answer came in time."));
      }, CALL_TIMEOUT_MS);
      this.#calls.set(id, { resolve, reject, timer });
      this.#send({ rr: { i: id, n: action, a: args } });
    });
  }

  #send(body) {
    this.#socket.send(JSON.stringify({ body }));
  }

  #opened(socket) {
    this.#refusal = null;
    for (const event of this.#handlers.keys()) this.#send({ sr: { e: event, s: true } });
    setTimeout(() => {
      if (this.#socket === socket) this.#failures = 0;
    }, SETTLED_AFTER_MS);
    this.#onState("open");
  }

  #receive({ ro, re, ev, er }) {
    if (ro) this.#settle(ro.i)?.resolve(ro.o);
    else if (re) this.#settle(re.i)?.reject(new ActorError(re.c, re.m));
    else if (ev) this.#handlers.get(ev.n)?.(...ev.a);
    else if (er) this.#refusal = new ActorError(er.c, er.m);
  }

  #closed(code) {
    this.#socket = null;
    this.#timer = null;
    this.#settleAll("The connection was lost before an answer came.");
    if (code === REFUSED) {
      this.#onState("refused", this.#refusal ?? new ActorError("forbidden", "Not let in."));
      return;
    }
    const bound = code === MOVING ? 200 : Math.min(PAUSE_MAX_MS, 250 * 2 ** this.#failures++);
    this.#timer = setTimeout(() => this.open(), bound * (0.5 + Math.random() / 2));
    this.#onState("waiting");
  }

  #settle(id) {
    const call = this.#calls.get(id);
    clearTimeout(call?.timer);
    this.#calls.delete(id);
    return call;
  }

  #settleAll(message) {
    for (const id of [...this.#calls.keys()]) {
      this.#settle(id).reject(new ActorError("outcome_unknown", message));
    }
  }
}
