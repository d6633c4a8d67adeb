/** What a page may send: made by `python -m docs.generate` of flowground/ui/conversation/frames.py. */

/** The last event of a running answer that the page has. */
export interface ResumePoint {
  run: string;
  number: number;
}

/** Shows a conversation; one with a new id is empty. `after`: how far the page came before its socket was cut. */
export interface OpenFrame {
  type: "open";
  session: string;
  after?: ResumePoint | null;
  tweaks?: Record<string, Record<string, unknown>>;
}

/** Sets the overrides of the messages to come. The answer says what is off, and whether messages are kept. */
export interface TweaksFrame {
  type: "tweaks";
  tweaks?: Record<string, Record<string, unknown>>;
}

/** Asks the flow. `id` is the page's own name for the message, which later frames repeat. `files` are ids. */
export interface SayFrame {
  id: string;
  session: string;
  tweaks?: Record<string, Record<string, unknown>>;
  type: "say";
  text: string;
  files?: string[];
}

/** Asks a question again: `message` is it, or an answer to it. The earlier question stays as another version. */
export interface AgainFrame {
  id: string;
  session: string;
  tweaks?: Record<string, Record<string, unknown>>;
  type: "again";
  message: string;
}

/** Asks this text instead of the question `message`, which stays as another version. */
export interface EditFrame {
  id: string;
  session: string;
  tweaks?: Record<string, Record<string, unknown>>;
  type: "edit";
  message: string;
  text: string;
}

/** Shows this version of a question, and the messages that follow it, instead of the current version. */
export interface ChooseFrame {
  session: string;
  message: string;
  type: "choose";
}

/** Ends the run; without `run`, the current one, also while it waits to begin. */
export interface StopFrame {
  type: "stop";
  run?: string | null;
}

/** Allows or refuses a tool call that waits. `call`: its number in the run; `digest`: as its frame has it. */
export interface DecideFrame {
  type: "decide";
  run: string;
  call: number;
  digest: string;
  decision: "once" | "chat" | "refuse";
}

/** Asks for the steps of this answer. */
export interface StepsFrame {
  session: string;
  message: string;
  type: "steps";
}

/** Asks for the messages before this one. */
export interface EarlierFrame {
  type: "earlier";
  session: string;
  before: string;
}

/** Rates an answer; None takes the rating back. */
export interface RateFrame {
  session: string;
  message: string;
  type: "rate";
  value: "good" | "bad" | null;
}

export type ClientFrame = OpenFrame | TweaksFrame | SayFrame | AgainFrame | EditFrame | ChooseFrame | StopFrame | DecideFrame | StepsFrame | EarlierFrame | RateFrame;
