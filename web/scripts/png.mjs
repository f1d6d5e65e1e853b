/**
 * PNG files of at most 256 colours, so that pictures of a page are small enough for a repository. Reads what Chromium
 * writes: 8 bits a channel, RGB or RGBA, not interlaced.
 */
import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);

/** The pixels of a file: width, height, and each pixel as 0xRRGGBB. */
export function decode(file) {
  let header, data = [];
  for (let at = SIGNATURE.length; at < file.length; at += 12 + file.readUInt32BE(at)) {
    const body = file.subarray(at + 8, at + 8 + file.readUInt32BE(at));
    const type = file.toString("latin1", at + 4, at + 8);
    if (type === "IHDR") header = body;
    if (type === "IDAT") data.push(body);
  }
  const width = header.readUInt32BE(0), height = header.readUInt32BE(4);
  const channels = { 2: 3, 6: 4 }[header[9]];
  if (header[8] !== 8 || !channels || header[12] !== 0) throw new Error("neither RGB nor RGBA of 8 bits");
  const bytes = unfilter(inflateSync(Buffer.concat(data)), width * channels, height, channels);
  const pixels = new Uint32Array(width * height);
  for (let n = 0; n < pixels.length; n++) pixels[n] = bytes.readUIntBE(n * channels, 3);
  return { width, height, pixels };
}

/** Reverses the filter of each row (PNG, section 9.2). */
function unfilter(filtered, stride, height, step) {
  const out = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = filtered[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x;
      const left = x >= step ? out[at - step] : 0;
      const up = y > 0 ? out[at - stride] : 0;
      const corner = x >= step && y > 0 ? out[at - stride - step] : 0;
      out[at] = filtered[y * (stride + 1) + 1 + x] + [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
    }
  }
  return out;
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** A file of at most 256 colours: exact where there are no more, else the nearest of a median cut. */
export function encode({ width, height, pixels }) {
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const colours = [...counts].map(([pixel, count]) => ({ pixel, rgb: channels(pixel), count }));
  const palette = colours.length <= 256 ? colours.map(({ rgb }) => rgb) : medianCut(colours, 256);
  const index = new Map(colours.map(({ pixel, rgb }) => [pixel, nearest(palette, rgb)]));
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) rows[y * (width + 1) + 1 + x] = index.get(pixels[y * width + x]);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8);
  return Buffer.concat([
    SIGNATURE, chunk("IHDR", header), chunk("PLTE", Buffer.from(palette.flat())),
    chunk("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })), chunk("IEND", Buffer.alloc(0)),
  ]);
}

const channels = (pixel) => [pixel >> 16, (pixel >> 8) & 255, pixel & 255];

/** Splits the box with the largest error at its median until there are enough boxes (Heckbert 1982). */
function medianCut(colours, most) {
  const boxes = [box(colours)];
  while (boxes.length < most) {
    boxes.sort((a, b) => a.error - b.error);
    const { members, widest } = boxes.pop();
    members.sort((a, b) => a.rgb[widest] - b.rgb[widest]);
    const half = members.reduce((sum, { count }) => sum + count, 0) / 2;
    let at = 0;
    for (let seen = 0; at < members.length - 1 && (at === 0 || seen + members[at].count <= half); at++) seen += members[at].count;
    boxes.push(box(members.slice(0, at)), box(members.slice(at)));
  }
  return boxes.map(({ mean }) => mean.map(Math.round));
}

function box(members) {
  const total = members.reduce((sum, { count }) => sum + count, 0);
  const mean = [0, 1, 2].map((c) => members.reduce((sum, { rgb, count }) => sum + rgb[c] * count, 0) / total);
  const errors = mean.map((middle, c) => members.reduce((sum, { rgb, count }) => sum + (rgb[c] - middle) ** 2 * count, 0));
  // A box of one colour has no error and is never split.
  return { members, mean, widest: errors.indexOf(Math.max(...errors)), error: errors[0] + errors[1] + errors[2] };
}

function nearest(palette, rgb) {
  let best = 0, least = Infinity;
  palette.forEach((entry, n) => {
    const far = (entry[0] - rgb[0]) ** 2 + (entry[1] - rgb[1]) ** 2 + (entry[2] - rgb[2]) ** 2;
    if (far < least) [best, least] = [n, far];
  });
  return best;
}

function chunk(type, body) {
  const out = Buffer.alloc(12 + body.length);
  out.writeUInt32BE(body.length, 0);
  out.write(type, 4, "latin1");
  body.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + body.length)), 8 + body.length);
  return out;
}
