// @ts-check
/** What the server says, and what the page makes of it. */

/** `behind`: this page read too slowly to be told everything; the stored messages have it. */
const HEARD = {
  conversation, messages, waiting, started, text, step, actions, progress, ended, refused, note, off, flow,
  behind: (view) => view.ask(),
  rated: (view, frame) => view.ratings.hear(frame),
  sources: (view, { run, passages }) => view.turn?.run === run && view.turn.first?.sources.look(passages),
  steps: (view, { message, steps }) => view.list.find(message)?.showSteps(steps),
};

/** One frame; what this page does not know is left out.
 * @param {import("../chat.js").View} view */
export function hearFrame(view, frame) {
  HEARD[frame.type]?.(view, frame);
}

function conversation(view, frame) {
  if (frame.session !== view.session) return;
  const { pending, turn: before, off: offBefore } = view;
  const isFirst = !view.isLoaded;
  const isSame = Boolean(before && frame.running === before.run);
  view.isLoaded = true;
  const isEarlier = pending?.isSaidAfter; // this was asked for before that was said, and knows nothing of it
  if (isEarlier) pending.isSaidAfter = false;
  else view.pending = null;
  view.isAsking = false;
  view.turn = isSame ? before : null;
  view.ratings.take(frame.messages, frame.ratings, frame.explained);
  const kept = isEarlier ? [pending.question, pending.answer] : isSame ? before.answers.values() : [];
  note(view, frame); // what a message offers hangs on both
  setOff(view, frame.off);
  view.list.show(frame.messages, { hasEarlier: frame.has_earlier, kept: new Set(kept) });
  if (Boolean(view.off) !== Boolean(offBefore)) view.list.redraw();
  if (pending && !isEarlier && !frame.running) giveBack(view, pending, frame.messages);
  if (view.isForm && isFirst) fillForm(view, frame.messages);
  view.update();
  if (isFirst && !view.isForm) view.scroll.toEnd();
  if (view.choosing) showChosen(view, view.choosing);
}

/** Says which version is shown now, and leaves the keyboard where it was: what stands above is the same. */
function showChosen(view, { at, step }) {
  view.choosing = null;
  const group = view.list.log.querySelectorAll(".fg-versions")[at];
  const button = group?.querySelector(`[data-step="${step}"]:enabled`) ?? group?.querySelector(":enabled");
  button?.focus({ preventScroll: true });
  view.speak(group?.getAttribute("aria-label"));
}

/** After the connection was lost: what was not heard any more goes back to where it was typed. */
function giveBack(view, pending, messages) {
  const last = messages.findLast((message) => message.role === "user");
  if (pending.isAgain || (last?.text === pending.text && (last.files ?? []).length === pending.files.length)) return;
  view.composer.restore(pending.text);
  if (!pending.replaced) view.composer.added.restore(pending.files);
}

function fillForm(view, messages) {
  const said = messages.find((message) => message.role === "user");
  if (said && !view.drafts.read(view.draftKey)) view.composer.text = said.text;
}

function messages(view, frame) {
  if (frame.session !== view.session) return;
  view.ratings.take(frame.messages, frame.ratings, frame.explained);
  view.scroll.hold(() => view.list.prepend(frame.messages, { hasEarlier: frame.has_earlier }));
}

function waiting(view, { id, text: said }) {
  const isMine = view.pending && (!id || view.pending.id === id);
  if (view.turn || (!isMine && !said)) return;
  if (!isMine) {
    if (view.composer.text === said) view.composer.text = ""; // given back when the connection was lost
    view.begin(id, said);
  }
  view.pending.answer.wait("The server is busy: your message waits for its turn.");
}

function started(view, frame) {
  if (frame.session !== view.session || view.turn?.run === frame.run) return;
  const isMine = view.pending && (frame.id ? view.pending.id === frame.id : view.pending.text === frame.question?.text);
  const mine = isMine ? view.pending : null;
  if (mine) view.pending = null;
  const versions = frame.question?.versions?.flat() ?? [];
  view.list.cut(versions.filter((id) => id !== frame.question.id));
  const question = frame.question && (mine?.question ?? view.list.find(frame.question.id) ?? view.list.addQuestion(""));
  if (question) view.list.name(question, frame.question.id).store(frame.question);
  else if (mine) view.list.remove(mine.question);
  const drawn = frame.answers.map(({ id }, place) => {
    const item = (place === 0 && mine?.answer) || view.list.find(id) || view.list.addAnswer();
    return [id, view.list.name(item, id)];
  });
  for (const item of [question, ...drawn.map(([, answer]) => answer)])
    if (item) Object.assign(item, { isUnkept: Boolean(view.note), tweaks: mine?.tweaks ?? {} });
  const { run, number = 0 } = frame;
  view.turn = { run, number, answers: new Map(drawn), first: drawn[0]?.[1] };
  view.turn.first?.wait();
  view.list.markDays();
  if (mine && (view.data.is_new || view.isForm)) keepAddress(view);
  view.update();
}

/** The first words of a conversation: its address, and its place in the list beside it. */
function keepAddress(view) {
  const address = new URL(location.href);
  address.searchParams.set("session", view.session);
  history.replaceState(history.state, "", address);
  view.data = { ...view.data, is_new: false };
  view.options.rename(view.draftKey);
  view.trigger("began", view.session);
}

/** One answer's next piece; where several grow at once, `more` has the others'. */
function text(view, { number, more = [], ...first }) {
  hideFetchNote(view);
  for (const piece of [first, ...more]) {
    if (number > view.turn?.number) view.turn.number = number;
    view.turn?.answers.get(piece.answer)?.add(piece.at, piece.text, piece.citations);
  }
}

function step(view, { run, name }) {
  if (name && view.turn?.run === run) view.turn.first?.wait(`Running ${name} …`);
}

function actions(view, { run, actions: told }) {
  if (view.turn?.run === run) view.turn.first?.act(told);
}

function progress(view, frame) {
  hideFetchNote(view);
  if (!frame.run || view.turn?.run === frame.run) view.turn?.first?.showProgress(frame);
}

/** The answer's bar says it from here on: what stands at the field is of when the page was drawn. */
function hideFetchNote(view) {
  if (view.isFetched) return;
  view.isFetched = true;
  view.describe();
}

function ended(view, { run, messages: stored }) {
  if (view.turn?.run !== run) return;
  const left = new Map(view.turn.answers);
  view.turn = null;
  for (const message of stored) {
    if (message.role === "user") continue;
    const item = left.get(message.id) ?? view.list.name(view.list.addAnswer(), message.id);
    left.delete(message.id);
    item.store(message);
  }
  for (const item of left.values()) view.list.remove(item);
  if (!stored.length) view.ask();
  const last = stored.at(-1);
  if (last?.state === "stopped") view.speak("Stopped.");
  if (last?.error) view.speak(last.error.text.replaceAll("`", ""));
  view.list.markDays();
  view.update();
}

function refused(view, { id, text: sentence, hint, seconds }) {
  const { pending, choosing } = view;
  const isOfStop = view.turn && !id;
  if (!pending && (choosing || isOfStop)) {
    view.choosing = null;
    view.composer.say(sentence, { hint, seconds });
  }
  if (!pending || (id && pending.id !== id)) return;
  view.pending = null;
  view.list.remove(pending.question);
  view.list.remove(pending.answer);
  view.list.restore(pending.removed);
  if (sentence) view.composer.say(sentence, { hint, seconds });
  if (!pending.isAgain && pending.replaced) pending.replaced.edit(pending.text);
  else if (!pending.isAgain && !view.isForm) {
    view.composer.restore(pending.text);
    view.composer.added.restore(pending.files);
  }
  view.update();
}

function note(view, { note: sentence }) {
  view.note = sentence || "";
  view.describe();
}

function off(view, frame) {
  setOff(view, frame.text);
  view.list.redraw();
  view.update();
}

/** Another version or a draft answers: the page's own words around the conversation follow, unless a dialog is open. */
function flow(view, { text: sentence }) {
  if (sentence) {
    view.list.mark(sentence);
    view.speak(sentence);
  }
  if (!view.isElsewhere) view.trigger("changed", Date.now());
}

function setOff(view, sentence) {
  view.off = sentence || "";
  view.composer.setOff(view.off);
}
