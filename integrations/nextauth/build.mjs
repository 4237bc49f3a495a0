// Compiles src/ twice: ES modules for `import`, CommonJS for `require`.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const here = import.meta.dirname;
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const compile = (...options) => execFileSync(process.execPath, [tsc, ...options], { cwd: here, stdio: "inherit" });

rmSync(`${here}/dist`, { recursive: true, force: true });
compile("-p", ".");
// What a file compiles to follows from the nearest package.json; the second pass needs one that says CommonJS.
const staged = `${here}/dist/staged`;
mkdirSync(`${staged}/src`, { recursive: true });
writeFileSync(`${staged}/package.json`, '{"type": "commonjs"}\n');
for (const name of readdirSync(`${here}/src`)) copyFileSync(`${here}/src/${name}`, `${staged}/src/${name}`);
copyFileSync(`${here}/tsconfig.json`, `${staged}/tsconfig.json`);
compile("-p", staged, "--outDir", `${here}/dist/cjs`, "--verbatimModuleSyntax", "false");
writeFileSync(`${here}/dist/cjs/package.json`, '{"type": "commonjs"}\n');
rmSync(staged, { recursive: true });
