// One page of a long list at a time: the page holds what is shown and nothing more.
import { by } from "./dom.js";

export class Pager {
  constructor({ ask, show, failed, next, table }) {
    Object.assign(this, { ask, show, failed, next, table, trail: [null], following: null, turn: 0 });
    by("older").addEventListener("click", () => this.older());
    by("newer").addEventListener("click", () => this.newer());
  }

  get atFirst() {
    return this.trail.length === 1;
  }

  async load(cursor) {
    const turn = ++this.turn;
    this.table.setAttribute("aria-busy", "true");
    try {
      const page = await this.ask(cursor);
      if (turn !== this.turn) return; // a later question was asked meanwhile
      const held = this.table.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      this.show(page);
      if (held) this.table.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus();
      this.following = this.next(page);
      by("older").disabled = !this.following;
      by("newer").disabled = this.atFirst;
    } catch (error) {
      if (turn === this.turn) this.failed(error);
    } finally {
      if (turn === this.turn) this.table.setAttribute("aria-busy", "false");
    }
  }

  first() {
    this.trail = [null];
    return this.load(null);
  }

  again() {
    return this.load(this.trail.at(-1));
  }

  older() {
    if (!this.following) return false;
    this.trail.push(this.following);
    return void this.load(this.following).then(() => this.top());
  }

  newer() {
    if (this.atFirst) return false;
    this.trail.pop();
    return void this.load(this.trail.at(-1)).then(() => this.top());
  }

  top() {
    this.table.scrollIntoView({ block: "nearest" });
    if (document.activeElement?.disabled || document.activeElement === document.body) this.table.querySelector("a, button")?.focus();
  }
}
