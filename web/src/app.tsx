/** The frame of the page: navigation, connection state, preferences, and the view in the address. */
import { useEffect, useRef } from "preact/hooks";
import { fleet } from "./api/client";
import { Failure, Loading, Select, ToneIcon } from "./components/bits";
import { Notices } from "./components/notices";
import { openSearch, Search } from "./components/search";
import { Gate, SignInDialog, Who } from "./components/sign-in";
import { WelcomeDialog } from "./components/welcome";
import { SEVERITIES } from "./format/words";
import { firing, worst } from "./state/alerts";
import { failure, link, picture, refresh, type Link, type Picture } from "./state/live";
import { theme, THEMES, unit, UNITS, zone, ZONES, type Theme } from "./state/prefs";
import { href, type View } from "./state/address";
import { viewName } from "./state/mark";
import { useResource } from "./state/resource";
import { route, vantage } from "./state/route";
import { mayRead } from "./state/session";
import type { Unit } from "./format/units";
import type { Tone } from "./format/words";
import { AlertsView } from "./views/alerts/index";
import { ClockView } from "./views/clock";
import { CompareView } from "./views/compare/index";
import { ConfigView } from "./views/config/index";
import { FleetView } from "./views/fleet/index";
import { Overview } from "./views/overview/index";
import { ReportsView } from "./views/reports";
import { ServerView } from "./views/server/index";
import { ServiceView } from "./views/service";

const TABS: readonly { view: View; text: string }[] = [
  { view: "overview", text: "Overview" },
  { view: "compare", text: "Compare" },
  { view: "clock", text: "Host clock" },
  { view: "alerts", text: "Alerts" },
  { view: "reports", text: "Reports" },
  { view: "fleet", text: "Fleet" },
  { view: "service", text: "Service" },
  { view: "config", text: "Configuration" },
];

const LINKS: Record<Link, { text: string; tone: Tone }> = {
  connecting: { text: "Connecting", tone: "idle" },
  stream: { text: "Live", tone: "good" },
  polling: { text: "No live stream: reading every 5 s", tone: "idle" },
  lost: { text: "Connection lost", tone: "bad" },
};

export function App() {
  const { view, id } = route.value;
  const main = useRef<HTMLElement>(null);
  const moved = useRef(false);
  useEffect(() => {
    viewName.value = TABS.find((tab) => tab.view === view)?.text ?? (id || "Not found");
    // After a change of view, scroll position and keyboard focus are at its top.
    if (moved.current) {
      scrollTo(0, 0);
      main.current?.focus({ preventScroll: true });
    }
    moved.current = true;
  }, [view, id]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
      <Header view={view} />
      <Notices />
      <main id="main" ref={main} tabIndex={-1} class={link.value === "lost" ? "is-stale" : undefined}>
        {failure.value && picture.value && <Stale error={failure.value} />}
        {mayRead.value ? <Body view={view} /> : <Gate />}
      </main>
      <Footer />
      <Search />
      <SignInDialog />
      <WelcomeDialog />
    </>
  );
}

function Header({ view }: { view: View }) {
  const health = picture.value?.health;
  // The tab is shown only on members of a fleet.
  const version = useResource(`version ${mayRead.value}`, async (signal) => (mayRead.value ? fleet.version(signal) : null)).data;
  const isMember = version !== null && (version.fleet_hub || version.fleet_agent);
  const tabsShown = TABS.filter((tab) => tab.view !== "fleet" || isMember || view === "fleet");
  const tabs = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone the tabs are wider than the screen, so scroll to the current one.
    tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [view]);
  return (
    <header class="top">
      <a class="brand" href={href("overview")}>
        <img src="./icon.svg" alt="" width="24" height="24" /> ntp-monitor{health && <span class="vantage">{vantage.value ?? health.vantage}</span>}
      </a>
      {vantage.value && <a class="small" href={`${href("overview")}?vantage=`}>Back to {health?.vantage ?? "this host"}</a>}
      <nav aria-label="Views" ref={tabs}>
        {tabsShown.map((tab) => (
          <a key={tab.view} href={href(tab.view)} aria-current={tab.view === view ? "page" : undefined}>
            {tab.text}
            {tab.view === "alerts" && <FiringMark />}
            {tab.view === "service" && health && health.status !== "ok" && (
              <span class="tab-mark"><ToneIcon tone={health.status === "failing" ? "bad" : "warn"} size={14} /><span class="visually-hidden"> ({health.status})</span></span>
            )}
          </a>
        ))}
      </nav>
      <span class="header-end">
        {mayRead.value && <button type="button" class="small search-button" onClick={openSearch} aria-keyshortcuts="Control+K">Search <kbd>Ctrl K</kbd></button>}
        {mayRead.value && <span class="link-state" role="status"><ToneIcon tone={LINKS[link.value].tone} size={12} /> <span class="link-words">{LINKS[link.value].text}</span></span>}
        <Who />
      </span>
    </header>
  );
}

/** The number of firing alerts, in the colour of the worst. */
function FiringMark() {
  if (worst.value === null) return null;
  const count = firing.value.length;
  return <span class={`firing-mark firing-${SEVERITIES[worst.value].tone}`}>{count}<span class="visually-hidden"> firing</span></span>;
}

function Body({ view }: { view: View }) {
  const now: Picture | null = picture.value;
  if (view === "nowhere") {
    return <p class="empty">There is no such view. <a href={href("overview")}>Go to the overview</a></p>;
  }
  // A server's charts do not wait for the list of all servers.
  if (view === "server") return <ServerView key={route.value.id} id={route.value.id} picture={now} />;
  if (view === "compare" && !failure.value) return <CompareView picture={now} />;
  if (!now) {
    return failure.value
      ? <Failure what="The monitor" error={failure.value} retry={refresh} />
      : <Loading what="the monitor" />;
  }
  switch (view) {
    case "overview": return <Overview picture={now} />;
    case "compare": return <CompareView picture={now} />;
    case "clock": return <ClockView picture={now} />;
    case "alerts": return <AlertsView part={route.value.id} />;
    case "reports": return <ReportsView />;
    case "fleet": return <FleetView />;
    case "service": return <ServiceView health={now.health} />;
    case "config": return <ConfigView part={route.value.id} />;
  }
}

function Stale({ error }: { error: Error }) {
  return (
    <p class="stale" role="alert"><ToneIcon tone="bad" /> This page is out of date. {error.message} Retrying.</p>
  );
}

function Footer() {
  const version = picture.value?.health.version;
  const asOptions = (values: readonly string[]): { value: string; text: string }[] =>
    values.map((value) => ({ value, text: value }));
  return (
    <footer class="bottom">
      <Select label="Time zone" value={zone.value} options={asOptions(ZONES)} onChange={(value) => { zone.value = value; }} />
      <Select label="Unit" value={unit.value} options={asOptions(UNITS)} onChange={(value) => { unit.value = value as Unit; }} />
      <Select label="Theme" value={theme.value} options={asOptions(THEMES)} onChange={(value) => { theme.value = value as Theme; }} />
      <span class="muted">Offsets: + means that the server is ahead of this host.</span>
      {version && <span class="muted">ntp-monitor {version}</span>}
    </footer>
  );
}
