"""The browser and the system as a person knows them; only names of our own are ever shown."""

from functools import lru_cache

from ua_parser import Parser
from ua_parser.basic import Resolver
from ua_parser.loaders import load_lazy_builtins

AGENT_LENGTH = 512  # characters that are looked at

# What the parser finds may repeat the caller's text, so a name that is not in these tables is not shown.
BROWSERS = {
    "Chrome": "Chrome", "Chrome Mobile": "Chrome", "Chrome Mobile iOS": "Chrome", "Chrome Mobile WebView": "Chrome",
    "Chromium": "Chromium", "HeadlessChrome": "Chrome", "Firefox": "Firefox", "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox", "Safari": "Safari", "Mobile Safari": "Safari", "Mobile Safari UI/WKWebView": "Safari",
    "Edge": "Edge", "Edge Mobile": "Edge", "Opera": "Opera", "Opera Mobile": "Opera", "Opera Mini": "Opera Mini",
    "Samsung Internet": "Samsung Internet", "Yandex Browser": "Yandex", "IE": "Internet Explorer", "Brave": "Brave",
    "Vivaldi": "Vivaldi", "DuckDuckGo Mobile": "DuckDuckGo", "UC Browser": "UC Browser", "MiuiBrowser": "Mi Browser",
    "Facebook": "Facebook", "Instagram": "Instagram", "Huawei Browser": "Huawei Browser",
}  # fmt: skip
SYSTEMS = {
    "Windows": "Windows", "Mac OS X": "macOS", "macOS": "macOS", "Linux": "Linux", "Ubuntu": "Ubuntu",
    "Debian": "Debian", "Fedora": "Fedora", "Android": "Android", "iOS": "iOS", "iPadOS": "iPadOS",
    "Chrome OS": "ChromeOS", "HarmonyOS": "HarmonyOS", "FreeBSD": "FreeBSD", "Windows Phone": "Windows Phone",
}  # fmt: skip


@lru_cache(maxsize=1)
def _parser() -> Parser:
    # With the Rust resolver and the rules for devices this took 22 MB; names repeat, so the cache below answers most.
    browsers, systems, _devices = load_lazy_builtins()
    return Parser(Resolver((browsers, systems, [])))


def warm_up() -> None:
    """Load the rules now, rather than with the first mail."""
    name_browser("Mozilla/5.0")


@lru_cache(maxsize=1024)
def _name(agent: str) -> str:
    found = _parser().parse(agent)
    browser = BROWSERS.get(found.user_agent.family) if found.user_agent else None
    system = SYSTEMS.get(found.os.family) if found.os else None
    return ", ".join(part for part in (browser, system) if part)


@lru_cache(maxsize=1024)
def name_families(agent: str) -> tuple[str, str]:
    """Browser and system as the parser calls them, "" where it knows none; to be compared, never to be shown."""
    found = _parser().parse(agent)
    browser = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    return BROWSERS.get(browser, browser), SYSTEMS.get(system, system)


def name_browser(agent: str | None) -> str:
    """Such as «Chrome, Linux»; "" where neither is known."""
    return _name(agent[:AGENT_LENGTH]) if agent else ""
