/** A VM's screen. */

import { Alert, Button } from "@mantine/core";
import RFB from "@novnc/novnc";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import * as queries from "../../api/queries";
import { Heading, Loaded } from "../../parts/parts";
import { type End, endOf, streamUrl } from "./streams";

export function Screen() {
  const { instance: id } = useParams({ strict: false });
  const query = useQuery({ ...queries.instance(id ?? ""), staleTime: Number.POSITIVE_INFINITY });
  return (
    <Loaded query={query} title="Screen">
      {(instance) => <Session id={instance.id} name={instance.instance_name} />}
    </Loaded>
  );
}

function Session({ id, name }: { id: string; name: string }) {
  const box = useRef<HTMLDivElement>(null);
  const [run, setRun] = useState({ number: 0, take: false });
  const [end, setEnd] = useState<End | null>(null);
  const screen = useRef<RFB | null>(null);
  useEffect(() => {
    if (box.current === null) return;
    const socket = new WebSocket(`${streamUrl(id, "vnc")}${run.take ? "?preserve_session=false" : ""}`);
    let closing = false;
    socket.addEventListener("close", (event) => !closing && setEnd(endOf(event, null)));
    const shown = new RFB(box.current, socket);
    shown.scaleViewport = true;
    shown.focusOnClick = true;
    screen.current = shown;
    return () => {
      closing = true;
      screen.current = null;
      shown.disconnect();
    };
  }, [id, run]);
  const again = (take: boolean) => {
    setEnd(null);
    setRun({ number: run.number + 1, take });
  };
  return (
    <>
      <Heading title={`Screen: ${name}`}>
        <Button variant="default" onClick={() => screen.current?.sendCtrlAltDel()}>
          Ctrl Alt Del
        </Button>
        <Button variant="default" onClick={() => again(false)}>
          Connect again
        </Button>
        <Button
          variant="default"
          renderRoot={(props) => <Link to="/instances/$instance" params={{ instance: id }} {...props} />}
        >
          Back
        </Button>
      </Heading>
      {end && (
        <Alert mb="sm" color={end.wrong ? "red" : "blue"} role="status">
          {end.words}{" "}
          <Button size="compact-sm" variant="default" onClick={() => again(true)}>
            Take it over from whoever has it open
          </Button>
        </Alert>
      )}
      <div ref={box} style={{ height: "75vh", background: "#000" }} />
    </>
  );
}
