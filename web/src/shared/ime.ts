// Enter sends, with the two habits of input methods kept apart:
// Japanese and Chinese: Enter while composing only takes the candidate. Korean: the last syllable is nearly always still
// composing, and Enter must take it and send, once.

const HANGUL = /[\u1100-\u11FF\u3131-\u318E\uAC00-\uD7A3]/;

/** `enterSends` may be asked each time (a mail wants newlines); Ctrl/Cmd+Enter always sends. Returns the undoing. */
export function sendOnEnter(
  field: HTMLTextAreaElement | HTMLInputElement,
  send: () => void,
  enterSends: () => boolean = () => true,
): () => void {
  let composing = false;
  let composed = "";
  let sendAfter = false;

  const start = (): void => {
    composing = true;
    composed = "";
    sendAfter = false;
  };
  const update = (event: Event): void => {
    composed = (event as CompositionEvent).data;
  };
  const end = (event: Event): void => {
    composing = false;
    composed = (event as CompositionEvent).data || composed;
    if (sendAfter) {
      sendAfter = false;
      setTimeout(send);
    }
  };
  /** An input method that does not end its composition by Enter ends it when the field loses the focus. */
  const commit = (): void => {
    if (!sendAfter) return;
    field.blur();
    field.focus();
  };
  const keydown = (raw: Event): void => {
    const event = raw as KeyboardEvent;
    const enter = event.key === "Enter" || event.code === "Enter" || event.code === "NumpadEnter";
    if (!enter || event.shiftKey || event.altKey) return;
    if (!enterSends() && !event.ctrlKey && !event.metaKey) return;
    if (event.isComposing || composing) {
      event.preventDefault();
      if (HANGUL.test(composed)) {
        sendAfter = true;
        setTimeout(commit, 100);
      }
      return;
    }
    event.preventDefault();
    if (event.keyCode === 229) {
      // Safari: the composition has just ended, and this is still its Enter.
      if (HANGUL.test(composed)) setTimeout(send);
      return;
    }
    send();
  };

  const listeners: [string, (event: Event) => void][] = [
    ["compositionstart", start],
    ["compositionupdate", update],
    ["compositionend", end],
    ["keydown", keydown],
  ];
  for (const [name, listener] of listeners) field.addEventListener(name, listener);
  return () => {
    for (const [name, listener] of listeners) field.removeEventListener(name, listener);
  };
}
