/** Copies what it holds. Browsers keep their clipboard from pages over plain HTTP; there the text is selected and copied. */
import { Button, Code } from "@mantine/core";
import { useState } from "react";

type Given = { text: string; label?: string; size?: "sm" | "compact-xs"; what?: string };

/** `label`: in place of the text itself. `what`: how it is called to whoever does not see it. */
export function Copy({ text, label, size = "compact-xs", what }: Given) {
  const [said, setSaid] = useState<"Copied" | "Select and copy it" | null>(null);
  async function take() {
    setSaid((await copied(text)) ? "Copied" : "Select and copy it");
    window.setTimeout(() => setSaid(null), 2_000);
  }
  return (
    <Button
      size={size}
      variant="default"
      onClick={() => void take()}
      aria-label={`${said ?? "Copy"} ${what ?? label ?? text}`}
    >
      {said ?? label ?? <Code bg="transparent">{text}</Code>}
    </Button>
  );
}

async function copied(text: string): Promise<boolean> {
  if (window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return selected(text);
    }
  }
  return selected(text);
}

/** A selection needs no focus, which a dialog would take back. */
function selected(text: string): boolean {
  const held = document.createElement("span");
  held.textContent = text;
  held.style.position = "fixed";
  held.style.whiteSpace = "pre";
  held.style.userSelect = "text";
  document.body.append(held);
  getSelection()?.selectAllChildren(held);
  const done = document.execCommand("copy");
  getSelection()?.removeAllRanges();
  held.remove();
  return done;
}
