// A Cap'n Web session that comes back by itself, and says at each moment how it is.

import { newWebSocketRpcSession } from "./vendor/capnweb.js";

const BACKOFF_MS = 500;
const BACKOFF_MS_MAX = 15_000;
const JOIN_MS_MAX = 10_000;

export class Connection {
  /**
   * @param url  where to connect
   * @param join async (api, lost) => void: take one's place; call lost() when it is gone
   * @param state ({name, retryAt}) with the name "connecting", "open" or "waiting"
   */
  constructor(url, join, state) {
    Object.assign(this, { url, join, state, failures: 0, life: 0 });
    addEventListener("online", () => this.timer && this.connect());
    document.addEventListener("visibilitychange", () => document.hidden || (this.timer && this.connect()));
    this.connect();
  }

  async connect() {
    clearTimeout(this.timer);
    this.timer = null;
    const life = ++this.life;
    const lost = () => life === this.life && this.wait();
    this.state({ name: "connecting" });
    this.api?.[Symbol.dispose]();
    this.api = newWebSocketRpcSession(this.url);
    this.api.onRpcBroken(lost);
    const slow = setTimeout(lost, JOIN_MS_MAX);
    try {
      await this.join(this.api, lost);
      if (life !== this.life) return;
      this.failures = 0;
      this.state({ name: "open" });
    } catch {
      lost();
    } finally {
      clearTimeout(slow);
    }
  }

  // Twice as long each time, and by chance up to half of it less: not all pages come back at the same moment.
  wait() {
    this.life++;
    const wait = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** this.failures++) * (1 - Math.random() / 2);
    this.state({ name: "waiting", retryAt: Date.now() + wait });
    this.timer = setTimeout(() => this.connect(), wait);
  }
}
