#ifndef COROD_EXECUTOR_NOTIFY_H
#define COROD_EXECUTOR_NOTIFY_H
/* sd_notify(3) by hand: tells systemd through $NOTIFY_SOCKET; nothing happens without one. */
void notify_ready(void);
void notify_stopping(void);

#endif
