/** A terminal in a container, or a VM's serial console. */
import "@xterm/xterm/css/xterm.css";
import { Alert, Button, Group, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { FitAddon } from "@xterm/addon-fit";
import { Terminal as Xterm } from "@xterm/xterm";
import { useEffect, useRef, useState } from "react";
import type { Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Heading, Loaded } from "../../parts/parts";
import { type End, endOf, streamUrl } from "./streams";

export function Terminal() {
  const { instance: id } = useParams({ strict: false });
  const query = useQuery({ ...queries.instance(id ?? ""), staleTime: Number.POSITIVE_INFINITY });
  return (
    <Loaded query={query} title="Terminal">
      {(instance) => <Session instance={instance} />}
    </Loaded>
  );
}

function Session({ instance }: { instance: Schemas["InstanceRead"] }) {
  const [command, setCommand] = useState("/bin/sh");
  const [run, setRun] = useState({ number: 0, command: "/bin/sh" });
  const [end, setEnd] = useState<End | null>(null);
  const exec = instance.capabilities.exec;
  return (
    <>
      <Heading title={`${exec ? "Terminal" : "Serial console"}: ${instance.instance_name}`}>
        {exec && (
          <TextInput
            aria-label="Command"
            value={command}
            onChange={(event) => setCommand(event.currentTarget.value)}
            w={160}
          />
        )}
        <Button
          variant="default"
          onClick={() => {
            setEnd(null);
            setRun({ number: run.number + 1, command });
          }}
        >
          Connect again
        </Button>
        <Button
          variant="default"
          renderRoot={(props) => <Link to="/instances/$instance" params={{ instance: instance.id }} {...props} />}
        >
          Back
        </Button>
      </Heading>
      {end && (
        <Alert mb="sm" color={end.wrong ? "red" : "blue"} role="status">
          {end.words}
        </Alert>
      )}
      <Group align="stretch">
        <Screen key={run.number} id={instance.id} command={exec ? run.command : null} onEnd={setEnd} />
      </Group>
    </>
  );
}

const INPUT = 0;
const OUTPUT = 1;
const ERRORS = 2;
const STATUS = 3;
const SIZE = 4;

/** `command`: words of what to run; none for the serial console. */
function Screen({ id, command, onEnd }: { id: string; command: string | null; onEnd: (end: End) => void }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (box.current === null) return;
    const terminal = new Xterm({ cursorBlink: true, fontSize: 14, scrollback: 5_000, screenReaderMode: true });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(box.current);
    fit.fit();
    const exec = command !== null;
    const query = exec
      ? `?${new URLSearchParams([
          ...command
            .split(/\s+/)
            .filter(Boolean)
            .map((word) => ["command", word]),
          ["stdin", "true"],
          ["tty", "true"],
        ])}`
      : "";
    const socket = new WebSocket(streamUrl(id, exec ? "exec" : "console") + query, exec ? ["v5.channel.k8s.io"] : []);
    socket.binaryType = "arraybuffer";
    const send = (channel: number, bytes: Uint8Array) => {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send(exec ? new Uint8Array([channel, ...bytes]) : new Uint8Array(bytes));
    };
    const text = new TextEncoder();
    const resized = () => {
      fit.fit();
      if (exec) send(SIZE, text.encode(JSON.stringify({ Width: terminal.cols, Height: terminal.rows })));
    };
    let why: string | null = null;
    socket.onopen = () => {
      resized();
      terminal.focus();
    };
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      const bytes = new Uint8Array(data);
      if (!exec) terminal.write(bytes);
      else if (bytes[0] === OUTPUT || bytes[0] === ERRORS) terminal.write(bytes.subarray(1));
      else if (bytes[0] === STATUS) why = JSON.parse(new TextDecoder().decode(bytes.subarray(1))).message ?? null;
    };
    let closing = false;
    socket.onclose = (event) => !closing && onEnd(endOf(event, why));
    const typed = terminal.onData((input) => send(INPUT, text.encode(input)));
    const observer = new ResizeObserver(resized);
    observer.observe(box.current);
    return () => {
      closing = true;
      observer.disconnect();
      typed.dispose();
      socket.close();
      terminal.dispose();
    };
  }, [id, command, onEnd]);
  return <div ref={box} style={{ flex: 1, height: "70vh", minWidth: 0, background: "#000", padding: 6 }} />;
}
