/** A worker that all tabs share. Its name is the channel's; the first tab brings the token. */
import { lead } from "./stream.js";

let stop;

addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data: token }) => {
    stop ??= lead(self.name, token);
  };
});
