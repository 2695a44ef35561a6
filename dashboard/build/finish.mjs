// Compresses what was built, and refuses to go on when it outgrew its budget.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const KB = 1000;
const FIRST_LOAD_MAX = 150 * KB;
const CHUNK_MAX = 60 * KB;

const dist = join(dirname(fileURLToPath(import.meta.url)), "../dist");
writeFileSync(join(dist, ".keep"), "");

const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(html|js|css|svg)$/.test(entry.name))
  .map((entry) => join(entry.parentPath, entry.name));

const sizes = new Map();
for (const file of files) {
  const plain = readFileSync(file);
  const gzip = gzipSync(plain, { level: 9 });
  writeFileSync(`${file}.gz`, gzip);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length };
  writeFileSync(`${file}.br`, brotliCompressSync(plain, { params }));
  sizes.set(file.slice(dist.length + 1), gzip.length);
}

// What the page names itself is the first load; every other script waits until it is needed.
const index = readFileSync(join(dist, "index.html"), "utf8");
if (/<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=/i.test(index)) {
  throw new Error("index.html has something inline, which its policy forbids");
}
const first = [...sizes].filter(([path]) => path === "index.html" || index.includes(`/${path}`));
const firstLoad = first.reduce((sum, [, size]) => sum + size, 0);
const late = [...sizes].filter(([path]) => /\.(js|css)$/.test(path) && !index.includes(`/${path}`));
const tooLarge = late.filter(([, size]) => size > CHUNK_MAX);

console.log(`first load ${firstLoad} bytes in gzip, at most ${FIRST_LOAD_MAX}`);
for (const [path, size] of late.sort((a, b) => b[1] - a[1])) {
  console.log(`  later ${path} ${size}`);
}
if (firstLoad > FIRST_LOAD_MAX || tooLarge.length > 0) {
  console.error(`over budget: ${tooLarge.map(([path]) => path).join(" ") || "first load"}`);
  process.exit(1);
}
