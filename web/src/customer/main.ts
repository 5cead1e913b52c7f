// A small shop that does not exist, so that one can be its customer: it loads the widget as any shop would.

import { LOCALES, type Locale, locale, setLocale } from "../shared/i18n";

const WORDS = {
  ko: {
    title: "나루문구",
    lead: "강가의 작은 문구점",
    story: "좋은 종이와 펜을 고르는 시간을 선물합니다. 이 가게는 Naru를 시험해 보기 위한 가상의 가게입니다.",
    goods: "오늘의 물건",
    help: "도움이 필요하신가요?",
    chat: "오른쪽 아래 단추로 채팅을 시작해 보세요.",
    noChat: "주소에 ?channel=<채널 키>를 붙이면 채팅이 열립니다.",
    phone: "전화",
    mail: "메일",
    language: "언어",
    items: [
      ["한지 노트", "12,000원"],
      ["만년필", "38,000원"],
      ["물결 편지지", "6,500원"],
      ["나룻배 문진", "21,000원"],
    ],
  },
  en: {
    title: "Naru Stationery",
    lead: "A small paper shop by the river",
    story: "Good paper, good pens, and time to choose them. This shop is made up, for trying Naru.",
    goods: "Today's goods",
    help: "Can we help?",
    chat: "Start a chat with the button at the lower right.",
    noChat: "Add ?channel=<hook key> to the address, and the chat appears.",
    phone: "Phone",
    mail: "Mail",
    language: "Language",
    items: [
      ["Hanji notebook", "₩12,000"],
      ["Fountain pen", "₩38,000"],
      ["Wave letter paper", "₩6,500"],
      ["Ferry paperweight", "₩21,000"],
    ],
  },
} satisfies Record<Locale, { items: string[][]; [word: string]: unknown }>;

const PICTURES = [
  "M28 18h44v64H28zM28 18v64M36 18v64M46 34h18M46 44h18",
  "M24 78l6-18 34-38 12 12-34 38zM30 60l12 12M24 78l8-8",
  "M20 28h60v46H20zM30 42q5-5 10 0t10 0 10 0 10 0M30 52q5-5 10 0t10 0 10 0 10 0M30 62q5-5 10 0t10 0",
  "M18 58h64l-9 16H27zM48 22v30H28zM54 30l18 22H54z",
];

const here = new URLSearchParams(location.search);

function element(tag: string, className: string, ...children: (Node | string)[]): HTMLElement {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function picture(path: string): SVGElement {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

function link(href: string, text: string, test: string): HTMLElement {
  const made = element("a", "", text);
  made.setAttribute("href", href);
  made.dataset.test = test;
  return made;
}

function shop(): void {
  const words = WORDS[locale.value];
  document.title = words.title;
  const language = element("nav", "languages");
  language.setAttribute("aria-label", words.language);
  for (const [code, name] of Object.entries(LOCALES)) {
    const button = element("button", "", name);
    button.dataset.test = `language-${code}`;
    button.setAttribute("aria-pressed", String(code === locale.value));
    button.setAttribute("lang", code);
    button.addEventListener("click", () => {
      setLocale(code as Locale);
      location.reload(); // the widget reads its language once, as on any page
    });
    language.append(button);
  }
  const phone = here.get("phone");
  const mail = here.get("mail");
  const contact = element("p", "contact");
  if (phone) contact.append(element("span", "", `${words.phone} `, link(`tel:${phone.replace(/[^+\d]/g, "")}`, phone, "shop-phone")));
  if (mail) contact.append(element("span", "", `${words.mail} `, link(`mailto:${encodeURI(mail)}`, mail, "shop-mail")));
  const goods = element(
    "ul",
    "goods",
    ...words.items.map(([name = "", price = ""], i) =>
      element("li", "", picture(PICTURES[i] ?? ""), element("h3", "", name), element("p", "", price)),
    ),
  );
  document.getElementById("app")?.replaceChildren(
    element("header", "", element("strong", "", words.title), language),
    element(
      "main",
      "",
      element("section", "hero", element("h1", "", words.lead), element("p", "", words.story)),
      element("section", "", element("h2", "", words.goods), goods),
      element("section", "help", element("h2", "", words.help), element("p", "", here.get("channel") ? words.chat : words.noChat), contact),
    ),
  );
}

shop();

const channel = here.get("channel");
if (channel) {
  const script = document.createElement("script");
  script.async = true;
  script.src = "/widget.js";
  script.dataset.channel = channel;
  script.dataset.locale = locale.value;
  document.head.append(script);
}
