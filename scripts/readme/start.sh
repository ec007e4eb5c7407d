# For a clone: the tests are run by CI, and so is the demo, with the examples. Here it is enough that there are such scripts.
tried=
npm() {
  case "$*" in
    ci) ;;
    'run demo') has demo ;;
    test) has test ;;
    *) exit 1 ;;
  esac
}
has() {
  node -e "process.exit('$1' in require('holdfast/package.json').scripts ? 0 : 1)" && tried="$tried $1"
}

# The snippet.

[ "$tried" = ' demo test' ]
