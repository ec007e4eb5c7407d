holdfast dev --json >etcd &
etcd=$!
until [ -s etcd ]; do sleep 0.1; done
HOLDFAST_ENDPOINTS=$(sed 's/.*"endpoint":"\([^"]*\)".*/\1/' etcd)
export HOLDFAST_ENDPOINTS

# It goes on until it is stopped, and says first where the page is.
holdfast() {
  command holdfast "$@" >page &
  trap 'kill $etcd $!' EXIT
}

# The snippet.

until [ -s page ]; do sleep 0.1; done
node -e '
const page = require("fs").readFileSync("page", "utf8").trim();
const main = async () => {
  const html = await (await fetch(page)).text();
  if (!html.includes("<title>holdfast</title>")) throw new Error(html);
  for (const [, file] of html.matchAll(/(?:href|src)="([^"#]+)"/g)) {
    const { status } = await fetch(page + file);
    if (status !== 200) throw new Error(`${file}: ${status}`);
  }
};
main();
'
