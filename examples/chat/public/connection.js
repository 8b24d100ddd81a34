// A WebSocket that comes back by itself, and says at each moment how it is.

const BACKOFF_MS = 500;
const BACKOFF_MS_MAX = 15_000;
const PING_MS = 20_000; // often enough for proxies, which close what is silent for a minute
const PONG_MS_MAX = 6000; // later than this, the line is dead without having said so
const OPEN_MS_MAX = 10_000;

export class Connection {
  /**
   * @param url     where to connect
   * @param on      opened(), message(object), state({name, retryAt, failures}): "connecting", "open", "waiting" or
   *                "offline". It is "open" once ready() was called: the other side has answered as it should.
   */
  constructor(url, on) {
    Object.assign(this, { url, on, failures: 0, wasReady: false, socket: null, timers: new Set() });
    this.wake = () => this.retry();
    this.drop = () => this.lost();
    this.look = () => document.hidden || this.check();
    addEventListener("online", this.wake);
    addEventListener("offline", this.drop);
    document.addEventListener("visibilitychange", this.look);
    this.connect();
  }

  /** Connect now instead of after the rest of the wait. */
  retry() {
    if (!this.socket) this.connect();
  }

  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  ready() {
    this.failures = 0;
    this.wasReady = true;
    this.tell("open");
  }

  close() {
    removeEventListener("online", this.wake);
    removeEventListener("offline", this.drop);
    document.removeEventListener("visibilitychange", this.look);
    this.forget();
  }

  connect() {
    this.forget();
    this.tell("connecting");
    const socket = (this.socket = new WebSocket(this.url));
    this.after(OPEN_MS_MAX, () => socket.readyState === WebSocket.CONNECTING && this.lost());
    socket.onopen = () => {
      this.on.opened();
      this.ping = this.after(PING_MS, () => this.check());
    };
    socket.onmessage = ({ data }) => {
      clearTimeout(this.pong);
      if (data !== "pong") this.on.message(JSON.parse(data));
    };
    socket.onclose = () => this.lost();
  }

  // The room answers a "ping" without being woken up.
  check() {
    if (!this.socket) return this.retry();
    if (this.socket.readyState !== WebSocket.OPEN) return;
    clearTimeout(this.pong);
    clearTimeout(this.ping);
    this.socket.send("ping");
    this.pong = this.after(PONG_MS_MAX, () => this.lost());
    this.ping = this.after(PING_MS, () => this.check());
  }

  lost() {
    this.forget();
    if (!navigator.onLine) {
      // The "online" event connects; but a server on this machine can be reached without any network.
      this.tell("offline");
      this.after(BACKOFF_MS_MAX, () => this.connect());
      return;
    }
    // Twice as long each time, and by chance up to half of it less: not all pages come back at the same moment.
    const wait = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** this.failures++) * (1 - Math.random() / 2);
    this.tell("waiting", Date.now() + wait);
    this.after(wait, () => this.connect());
  }

  forget() {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
    if (this.socket) {
      this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
      this.socket.close();
      this.socket = null;
    }
  }

  after(ms, then) {
    const timer = setTimeout(() => (this.timers.delete(timer), then()), ms);
    this.timers.add(timer);
    return timer;
  }

  tell(name, retryAt) {
    this.on.state({ name, retryAt, failures: this.failures });
  }
}
