/** Run by tests as a process of its own: prints its arguments, one a line, and stays, unless the first is `--end`. */

const [first, ...rest] = process.argv.slice(2);
for (const word of first === "--end" ? rest : [first, ...rest]) console.log(word);
if (first !== "--end") setInterval(() => undefined, 60_000);
