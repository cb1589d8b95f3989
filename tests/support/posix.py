"""What Windows lacks of Python, and the modules that must do without it."""

from __future__ import annotations

from tests.support.project import REPOSITORY

LIBRARY = [
    *sorted((REPOSITORY / "build").rglob("*.py")),
    *(REPOSITORY / name for name in ("tasks.py", "noxfile.py", "inv.py")),
]
# What Windows lacks of `os` and `signal`, and whole modules.
LACKING = {
    "os": "chown chroot fork forkpty getegid geteuid getgid getgroups getloadavg getpgid getpgrp getsid getuid initgroups "
    "killpg lchown major minor mkfifo mknod nice openpty pathconf posix_spawn sched_getaffinity sendfile setegid "
    "seteuid setgid setgroups setpgid setsid setuid statvfs sync sysconf tcgetpgrp uname wait wait3 wait4 waitid "
    "WIFEXITED WNOHANG O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK ST_NOEXEC",
    "signal": "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 alarm pause pthread_kill "
    "pthread_sigmask setitimer sigwait",
}
MODULES = "fcntl grp posix pty pwd resource syslog termios tty"
