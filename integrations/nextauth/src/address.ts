/** Client addresses: what is one, and which of many is the client's. */

const V4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/;

/**
 * The address in its canonical form (RFC 5952), or undefined where the text is none.
 *
 * Takes what proxies write: a port (`192.0.2.1:80`, `[2001:db8::1]:80`), quotes, a zone (`fe80::1%eth0`), and IPv4
 * within IPv6 (`::ffff:192.0.2.1`), which it gives back as IPv4.
 */
export function parseAddress(text: string): string | undefined {
  let address = text.trim().replace(/^"(.*)"$/, "$1");
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(address);
  if (bracketed) address = bracketed[1] ?? "";
  else if (/^[\d.]+:\d{1,5}$/.test(address)) address = address.slice(0, address.indexOf(":"));
  if (V4.test(address)) return address;
  address = address.replace(/%[\w.~-]+$/, "");
  if (!address.includes(":") || !/^[0-9a-f:.]{2,45}$/i.test(address)) return undefined;
  let canonical: string;
  try {
    canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
  const mapped = MAPPED.exec(canonical);
  if (!mapped) return canonical;
  const [high, low] = [parseInt(mapped[1] ?? "", 16), parseInt(mapped[2] ?? "", 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/**
 * The client's address, counted from the right: each proxy of yours appends the address that it was called from, and
 * what stands further left was sent by the client, who may write anything.
 *
 * `forwarded` is the X-Forwarded-For header, `peer` the address of the socket, where it is known. With no proxy it is
 * the peer; with n it is the n-th entry from the right. Fewer entries than proxies, or an entry that is no address:
 * undefined, as any other guess could be the client's own.
 */
export function clientAddress(forwarded: string, peer: string | undefined, proxies: number): string | undefined {
  if (proxies === 0) return peer === undefined ? undefined : parseAddress(peer);
  const entry = forwarded.split(",").at(-proxies);
  return entry === undefined ? undefined : parseAddress(entry);
}
