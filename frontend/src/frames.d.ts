/** What a page may send: made by `python -m docs.generate` of flowground/ui/conversation/frames.py. */

/** The last event of a running answer that the page has. */
export interface ResumePoint {
  run: string;
  number: number;
}

/** Shows a conversation; a new id is an empty one. `after` says how far a page has come that was cut off. */
export interface OpenFrame {
  type: "open";
  session: string;
  after?: ResumePoint | null;
  tweaks?: Record<string, Record<string, unknown>>;
}

/** What is said from now on has these overrides: what is switched off, and what is kept, is told anew. */
export interface TweaksFrame {
  type: "tweaks";
  tweaks?: Record<string, Record<string, unknown>>;
}

/** Asks the flow. `id` is the page's own name for it, by which it learns what became of it. `files` are ids. */
export interface SayFrame {
  type: "say";
  id: string;
  session: string;
  text: string;
  files?: string[];
  tweaks?: Record<string, Record<string, unknown>>;
}

/** Asks once more what this message answers, or is; the question and what followed stay as another version. */
export interface AgainFrame {
  type: "again";
  id: string;
  session: string;
  message: string;
  tweaks?: Record<string, Record<string, unknown>>;
}

/** Asks this text in the place of this question, which stays as another version. */
export interface EditFrame {
  type: "edit";
  id: string;
  session: string;
  message: string;
  text: string;
  tweaks?: Record<string, Record<string, unknown>>;
}

/** Shows this version of a question, with what followed it, in the place of the one that is shown. */
export interface ChooseFrame {
  type: "choose";
  session: string;
  message: string;
}

/** Ends the answer that is being written; without `run` also one that still waits. */
export interface StopFrame {
  type: "stop";
  run?: string | null;
}

/** Allows a call of a tool that waits, or refuses it; `call` is its number in the run, `digest` came with it. */
export interface DecideFrame {
  type: "decide";
  run: string;
  call: number;
  digest: string;
  decision: "once" | "chat" | "refuse";
}

/** Wants what went on inside for this answer. */
export interface StepsFrame {
  type: "steps";
  session: string;
  message: string;
}

/** Wants the messages before this one. */
export interface EarlierFrame {
  type: "earlier";
  session: string;
  before: string;
}

/** Says how an answer was; None takes that back. */
export interface RateFrame {
  type: "rate";
  session: string;
  message: string;
  value: "good" | "bad" | null;
}

export type ClientFrame = OpenFrame | TweaksFrame | SayFrame | AgainFrame | EditFrame | ChooseFrame | StopFrame | DecideFrame | StepsFrame | EarlierFrame | RateFrame;
