# Completes crow's commands and flags in bash 3.2 and later, and where crow
# knows no word, files. What was typed is handed to crow as it stands: nothing
# of it is ever evaluated, and no other package is needed.

_crow() {
  local words=() rest="${COMP_LINE-}" trimmed word i
  # bash takes --seeder=http://x:7400 apart at = and :, since they are in
  # COMP_WORDBREAKS; here, what stands without a blank between is one word again.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    trimmed="${rest#"${rest%%[![:space:]]*}"}"
    if ((i > 0)) && [[ -n "$rest" && "$rest" == "$trimmed" ]]; then
      words[${#words[@]} - 1]+="$word"
    else
      words+=("$word")
    fi
    rest="${trimmed#"$word"}"
  done

  local last=$((${#words[@]} - 1))
  local typed="${words[last]}"
  unset "words[last]"
  [[ "$typed" == -* ]] && words+=("$typed") # or crow would name commands
  [[ "${words[0]}" == \~/* ]] && words[0]="$HOME/${words[0]#\~/}"

  COMPREPLY=()
  local line
  while IFS= read -r line; do
    line="${line%%:*}" # the rest describes it
    [[ -n "$line" && "$line" == "$typed"* ]] && COMPREPLY+=("$line")
  done < <("${words[@]}" --generate-shell-completion 2>/dev/null)
}

complete -o default -F _crow crow
