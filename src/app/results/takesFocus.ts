// takesFocus.ts: the focus of a question that opens within a list: into it, and back to the button that asked. (Svelte's
// `autofocus` moves the focus only where nothing has it, and a button that was just pressed has it.)

/** An attachment for the control that the question begins with. */
export function takesFocus(node: HTMLElement): () => void {
  const before = document.activeElement;
  node.focus();
  if (node instanceof HTMLInputElement) node.select();
  return () => {
    // Once the question is gone; a person who has gone elsewhere stays there.
    queueMicrotask(() => {
      if (document.activeElement === document.body && before instanceof HTMLElement) before.focus();
    });
  };
}
