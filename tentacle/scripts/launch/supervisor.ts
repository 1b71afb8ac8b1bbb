// The supervisor: a shell between the launcher and each script, which records that the script started and how it
// ended. Node cannot tell the death by an unnamed signal (32–64) from exit code 0; a shell can. The record
// (exit-file.ts) survives the launcher, too.

/**
 * Waits for its command and writes down its exit code. The shell itself adds a line about a signal. It ignores signals
 * to end, as the launcher does, and its command does not. Bash as `sh` says nothing of signals in its POSIX mode.
 */
const WAIT = `trap : HUP INT TERM
command set +o posix 2> /dev/null
"$@"
printf '%-8s\\n' "$?" >&3`;

/** The usual soft limit of open files; some programs close or watch as many as they may have. */
const OPEN_FILES = 1024;

/**
 * Runs as the leader of its session: writes down pid and start ticks, tells the launcher, and becomes the script. A
 * launcher that is gone must not keep the script from running. Sets no variable that the script could have. Lowers the
 * limit of open files, which Node has raised for itself; a hard limit below that stays.
 */
const BECOME = `tell() {
  printf '%-63s\\n' "$1 \${22}" >&3 || exit 126
  printf '%s\\n' "$1 \${22}" 2> /dev/null
}
read -r ISTHMUS_STAT < /proc/self/stat || exit 126
trap : PIPE
tell $ISTHMUS_STAT
unset ISTHMUS_STAT
command ulimit -S -n ${OPEN_FILES} 2> /dev/null
exec "$@" >&4 2>&5 3>&- 4>&- 5>&-`;

const SHELL = '/bin/sh';

/**
 * The command of a supervisor that runs `command` in a session of its own; `setsid` is the path of that program. It
 * takes these descriptors: 1 the launcher, 2 the exit file to append to, 3 the exit file to overwrite, 4 and 5 the
 * script's stdout and stderr.
 */
export function supervised(command: readonly string[], setsid: string): readonly string[] {
  return [SHELL, '-c', WAIT, 'sh', setsid, SHELL, '-c', BECOME, 'sh', ...command];
}
