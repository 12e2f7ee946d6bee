#!/bin/sh
# Does on demand what programs do, for the tests of a whole server.
answers=${STOA_FIFO:-/tmp/algoout}
count=0

# answer TYPE JSON: the answer to a call.
answer() {
  printf '{"result":%s,"metadata":{"content_type":"%s"}}\n' "$2" "$1" >"$answers"
}

echo PIPE_INIT_COMPLETE
while IFS= read -r line; do
  count=$((count + 1))
  case $line in
    '{"content_type":"text","data":'*) type=text ;;
    '{"content_type":"json","data":'*) type=json ;;
    *) type=binary ;;
  esac
  data=${line#*\"data\":}
  data=${data%\}}
  # Words are only those of a short text without escapes.
  word= rest=
  case $type:$data in
    text:\"[a-z:]*\")
      word=${data#\"}
      word=${word%\"}
      case $word in *' '*) rest=${word#* } ;; esac
      word=${word%% *}
      ;;
  esac
  case $word in
    raise)
      printf '{"error":{"message":"out of cheese","error_type":"CheeseError","stacktrace":"probe.sh: raise"}}\n' >"$answers"
      ;;
    memory)
      kept=xxxxxxxxxxxxxxxx
      while :; do kept=$kept$kept; done
      ;;
    sleep)
      sleep "${rest:-60}"
      answer text '"slept"'
      ;;
    exit) exit 3 ;;
    spam)
      head -c 10000000 /dev/zero | tr '\0' x | fold -w 99
      answer text '"done"'
      ;;
    stderr)
      echo "to standard output"
      echo "to standard error" >&2
      answer text '"printed"'
      ;;
    state) answer json "$count" ;;
    # What stoa runner-test asks for.
    stoa:error) printf '{"error":{"message":"stoa:error","error_type":"CheeseError"}}\n' >"$answers" ;;
    stoa:print)
      echo stoa:out
      echo stoa:err >&2
      answer "$type" "$data"
      ;;
    stoa:flood)
      head -c 10485760 /dev/zero | tr '\0' f
      answer "$type" "$data"
      ;;
    stoa:big) answer text "\"$(head -c 1048576 /dev/zero | tr '\0' x)\"" ;;
    stoa:sleep)
      sleep 0.5
      answer "$type" "$data"
      ;;
    stoa:exit) exit 3 ;;
    *) answer "$type" "$data" ;;
  esac
done
