/** What can be chosen by name, and what beside it. */
import { Stack } from "@mantine/core";
import { Heading } from "../../parts/parts";
import { Flavours } from "./flavours";
import { Images } from "./images";
import { Policy } from "./policy";

export function Catalogue() {
  return (
    <>
      <Heading title="Catalogue" />
      <Stack>
        <Images />
        <Flavours />
        <Policy />
      </Stack>
    </>
  );
}
