// What the steps of a conversation's turns are at: of the one that runs as it goes, else of the last one.

import { Socket } from "../chat/socket.js";
import { keepById } from "./steps.js";

export class Follower {
  /** `tell(states, about)`: what became of each component by its id, and of which turn that is. */
  constructor(flow, session, tell) {
    Object.assign(this, { session, tell, run: null, states: keepById(), message: null });
    const address = `${location.origin.replace(/^http/, "ws")}/chat?flow=${encodeURIComponent(flow)}`;
    this.socket = new Socket(address, { hear: (frame) => this.hear(frame), change: (state) => state === "open" && this.ask() });
  }

  ask() {
    this.socket.send({ type: "open", session: this.session });
  }

  hear(frame) {
    if (frame.type === "conversation") this.open(frame);
    else if (frame.type === "started") this.begin(frame);
    else if (frame.type === "step" && frame.run === this.run) this.go(frame.states);
    else if (frame.type === "ended" && frame.run === this.run) this.end(frame);
    else if (frame.type === "steps" && frame.message === this.message) this.show([...(frame.tools ?? []), ...frame.steps]);
    else if (frame.type === "behind") this.ask();
  }

  open({ messages, running }) {
    if (running) return;
    this.run = null;
    this.askSteps(messages);
  }

  begin({ run }) {
    if (this.run === run) return;
    Object.assign(this, { run, states: keepById(), message: null });
    this.tell(this.states, { isRunning: true });
  }

  go(states = {}) {
    Object.assign(this.states, states);
    this.tell(this.states, { isRunning: true });
  }

  end({ messages }) {
    this.run = null;
    if (!this.askSteps(messages)) this.tell(this.states, {});
  }

  /** Of the last answer that has steps; whether there is one. */
  askSteps(messages) {
    const last = messages.findLast(({ role, facts }) => role === "assistant" && facts?.steps);
    this.message = last?.id ?? null;
    this.at = last?.at;
    return Boolean(last) && this.socket.send({ type: "steps", session: this.session, message: last.id });
  }

  show(steps) {
    this.states = keepById(steps.map(({ id, status }) => [id, status]));
    this.tell(this.states, { at: this.at, steps });
  }

  close() {
    this.socket.close();
  }
}
