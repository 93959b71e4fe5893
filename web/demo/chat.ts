/** Chat: lines that were said, and one to type into. Enter opens it, Enter sends, Escape leaves it. What players say is text here, never markup. */
import { type plains as schema } from "../sdk/index.ts";
import { element } from "./page.ts";

const KEPT = 60;
const SHOWN_MS = 20_000; // a line stays for so long while nobody types
const MOST_BYTES = 480; // of a Say, which may have 512 with its frame
const HELP = "/shout text · /join party · /p text · /quit";

const circles = ["near", "zone", "party"];
const commands = new Set(["/shout", "/join", "/p", "/quit"]);

/** Chat owns the section #chat. say sends what was typed. */
export class Chat {
  private readonly section = element("chat");
  private readonly list = element("said");
  private readonly line = element<HTMLInputElement>("line");
  private readonly back = element("stage");
  /** count of what was said by players. */
  count = 0;

  constructor(private readonly say: (text: string) => void) {
    element("speak").addEventListener("submit", (e) => {
      e.preventDefault();
      this.submit();
    });
    this.line.addEventListener("keydown", (e) => {
      if (e.key === "Escape") this.close();
    });
    this.line.addEventListener("blur", () => this.close());
  }

  /** open begins a line. */
  open(): void {
    this.section.dataset["open"] = "yes";
    this.line.hidden = false;
    this.line.focus({ preventScroll: true });
    this.list.scrollTop = this.list.scrollHeight;
  }

  private close(): void {
    if (this.line.hidden) return;
    this.line.value = "";
    this.line.hidden = true; // which takes the focus away, and comes back here
    delete this.section.dataset["open"];
    this.back.focus({ preventScroll: true });
    this.list.scrollTop = this.list.scrollHeight;
  }

  private submit(): void {
    const text = this.line.value.trim();
    this.close();
    const [command = "", ...words] = text.split(/\s+/);
    if (text === "") return;
    if (new TextEncoder().encode(text).length > MOST_BYTES) this.tell("That is too long to be said at once.");
    else if (command.startsWith("/") && !commands.has(command)) this.tell(`There is no ${command}. What there is: ${HELP}`);
    else if (command !== "/quit" && commands.has(command) && words.length === 0) this.tell(`${command} of what? ${HELP}`);
    else {
      this.say(text);
      if (command === "/join") this.tell(`In party ${words.join(" ")}: /p speaks to it, wherever its members are.`);
      if (command === "/quit") this.tell("In no party.");
    }
  }

  /** hear lists what somebody has said. */
  hear(said: schema.Said): void {
    this.count++;
    const item = this.add();
    const circle = circles[said.circle] ?? "?";
    item.dataset["circle"] = circle;
    const tag = item.appendChild(document.createElement("small"));
    tag.textContent = circle;
    const who = item.appendChild(document.createElement("b"));
    who.textContent = said.name || "somebody";
    item.append(` ${said.text}`);
    this.settle();
  }

  /** tell lists a line of the page's own. */
  tell(text: string): void {
    const item = this.add();
    item.className = "own";
    item.append(text);
    this.settle();
  }

  private add(): HTMLElement {
    const item = this.list.appendChild(document.createElement("li"));
    setTimeout(() => item.classList.add("old"), SHOWN_MS);
    while (this.list.childElementCount > KEPT) this.list.firstElementChild!.remove();
    return item;
  }

  private settle(): void {
    this.list.scrollTop = this.list.scrollHeight;
  }
}
