"""What mutate.py changes: (file, text that is there once, what stands there instead). Each is a mistake
that somebody could make; asyncio, or CPython before 3.13, does not behave like that."""

RUNTIME = [
    # tasks and cancelling
    ("cancel.c", "        t->must_cancel = false;\n    return t->cancels;",
     "        ;\n    return t->cancels;"),
    ("cancel.c", "    if (task_is_done(t))\n        return false;\n    struct work w = {0};\n"
     "    work_add(&w, t, false);", "    struct work w = {0};\n    work_add(&w, t, false);"),
    ("cancel.c", "        if (t->cancels < UINT32_MAX)\n            t->cancels++;",
     "        if (t->cancels < 1)\n            t->cancels++;"),
    ("cancel.c", "            g->cancel_requested = true;", "            ;"),
    ("cancel.c", "for (uint32_t i = g->n; i-- > 0;)", "for (uint32_t i = 0; i < g->n; i++)"),
    ("cancel.c", "    if (taken)\n        t->must_cancel = t->ready == HANDLE_STEP;", "    (void)taken;"),
    ("task.c", "    if (how == DONE_NORMAL && t->must_cancel) {", "    if (false) {"),
    ("step.c", "    if (t->must_cancel) {\n        t->must_cancel = false;\n        if (!error ||",
     "    if (t->must_cancel && !value) {\n        t->must_cancel = false;\n        if (!error ||"),
    ("step.c", "    if (!(seconds > 0)) {\n        task_yield(t);\n        return;\n    }", ""),
    ("timer.c", "    return a->seq < b->seq;", "    return a->seq > b->seq;"),
    ("job.c", "    job->ready.tick_end = job->ready.next_seq;", "    job->ready.tick_end = UINT64_MAX;"),
    # gather
    ("gather.c", "    if (g->cancel_requested) {", "    if (false) {"),
    ("gather.c", "        if (!task_is_done(child) || child->mark != g->id)\n            continue;",
     "        if (!task_is_done(child))\n            continue;"),
    ("gather.c", "    if (!g->return_exceptions && child->outcome != OUTCOME_VALUE) {",
     "    if (!g->return_exceptions && child->outcome == OUTCOME_ERROR) {"),
    ("limit.c", "        l->sem->value++;\n        wake_next(l->sem);", "        l->sem->value++;"),
    # timeout, retry
    ("node_timeout.c", "task_uncancel(t) <= act->count &&", "task_uncancel(t) == 0 &&"),
    ("node_timeout.c", "    container_of(slot, struct timeout_act, timer)->act.phase = TIMEOUT_EXPIRING;\n"
     "    task_cancel(t);", "    if (task_cancel(t) && t->cancels == 1)\n"
     "        container_of(slot, struct timeout_act, timer)->act.phase = TIMEOUT_EXPIRING;"),
    ("node_retry.c", "    if (strcmp(error_type(error), \"CancelledError\") == 0)\n        return false;", ""),
    # task groups
    ("group.c", "(w->exiting && w->left == 0)", "w->exiting"),
    ("group.c", "                      : w->aborting                                          ?",
     "                      : false                                          ?"),
    ("group.c", "    if (w->aborting || w->parent_cancelled)", "    if (w->parent_cancelled)"),
    ("group.c", "    task_cancel(w->owner);", ""),
    ("node_task_group.c", "    if (w->parent_cancelled && task_uncancel(t) == 0)",
     "    if (w->parent_cancelled)"),
    ("node_task_group.c", "    if (a->cancelled && w->n_errors == 0) {", "    if (a->cancelled) {"),
    ("node_task_group.c", "        if (!a->watch->aborting)\n            group_abort(a->watch);", ""),
    ("node_task_group.c", "    if (how == DONE_RAISE && !a->watch->aborting) {",
     "    if (how == DONE_RAISE) {"),
    ("node_task_group.c", "        task_uncancel(t);\n", ""),
    # wait, race, shield, as_completed
    ("watch.c", "    if (w->left == 0 || w->until == UNTIL_FIRST)", "    if (w->left == 0)"),
    ("watch.c", "    if (sort && w->n > 1)", "    if (false)"),
    ("node_race.c", "    for (size_t i = 0; i < losers->n; i++)\n        task_cancel(losers->all[i].task);", ""),
    ("node_race.c", "    if (losers->n == 0) {", "    if (losers->n == 0 || error) {"),
    ("node_shield.c", "    (void)t;\n    (void)act;\n    return true;",
     "    (void)t;\n    task_cancel(((const struct shield_act *)act)->watch->all[0].task);\n    return true;"),
    ("node_shield.c", "    if (task_is_done(inner)) {\n        take_outcome(t, inner);\n    } else {", "    {"),
    # queues
    ("queue.c", "    object_touch(q);\n    waiters_wake(&q->waiters[LIST_GETTERS], false);\n    return true;",
     "    object_touch(q);\n    waiters_wake_all(&q->waiters[LIST_GETTERS], false);\n    return true;"),
    ("queue.c", "    waiters_wake(&q->waiters[LIST_PUTTERS], false);\n    return item;", "    return item;"),
    ("queue.c", "        if (q->value == 0)\n            waiters_wake_all(&q->waiters[LIST_JOINERS], false);\n    }",
     "    }"),
    ("queue.c", "    waiters_wake_all(&q->waiters[LIST_GETTERS], false);\n"
     "    waiters_wake_all(&q->waiters[LIST_PUTTERS], false);",
     "    waiters_wake_all(&q->waiters[LIST_PUTTERS], false);\n"
     "    waiters_wake_all(&q->waiters[LIST_GETTERS], false);"),
    ("queue.c", "        q->value -= n < q->value ? n : q->value;", "        q->value = 0;\n        (void)n;"),
    # lines of a command
    ("feed_lines.c", "        a->lines->interrupted = true;", "        ;"),
    ("feed_lines.c", "    if (lines_stop(a->lines))\n        return true;", "    return true;"),
    ("lines.c", "        *v = steal(&l->run.error);\n        return *v ? LINES_ERROR : LINES_END;",
     "        return LINES_END;"),
    ("lines.c", "    bool something = l->eof || line_length(l) < left(l) ||",
     "    bool something = l->eof || left(l) > 0 ||"),
    ("lines.c", "    *skip = l->off - l->marks[i - 1].at;", "    *skip = 0;"),
    # locks
    ("lock.c", "    if (lock_is_locked(o) || waiters_any(lock_waiters(o)))", "    if (lock_is_locked(o))"),
    ("lock.c", "        return o->value == 0 || waiters_any(&o->waiters[LIST_LOCK]);",
     "        return o->value == 0;"),
    ("lock.c", "        if (woken && !ok)\n            o->value++;", "        (void)woken;"),
    ("lock.c", "        while (o->value > 0 && semaphore_wake(o))\n            ;",
     "        if (o->value > 0)\n            semaphore_wake(o);"),
    ("lock.c", "    } else if (!o->flag) {\n        waiters_wake_first(lock_waiters(o));\n    }", "    }"),
    ("lock.c", "    if (--o->value > 0)\n        return;", "    o->value--;"),
    ("lock.c", "    o->state = o->value > 0 ? BARRIER_RESETTING : BARRIER_FILLING;",
     "    o->state = BARRIER_FILLING;"),
    ("object_wait.c", "    condition_wake(a->object, 1);", "    "),
    ("object_wait.c", "    if (o->state == BARRIER_DRAINING || o->state == BARRIER_RESETTING)",
     "    if (o->state == BARRIER_RESETTING)"),
    # the end of a job
    ("end.c", "        task_cancel(all[i]);\n    job->closing = gather_new(job, true);",
     "        if (job->phase == PHASE_MAIN || all[i]->id < 2)\n            task_cancel(all[i]);\n"
     "    job->closing = gather_new(job, true);"),
    ("end.c", "    close_round(job);\n}", "    if (g)\n        finish(job);\n    else\n        close_round(job);\n}"),
    ("end.c", "    if (n == 0) {\n        finish(job);", "    if (true) {\n        finish(job);"),
    # except*
    ("star.c", "    else if (a->n == 1)\n        task_done(t, DONE_RAISE, value_ref(a->raised[0]));\n", ""),
    ("star.c", "    } else if (act->phase == STAR_AGAIN && value_equal(v, a->part)) {",
     "    } else if (false) {"),
]

JUDGE = [
    ("virtual_loop.py", "        if left == 0:\n            self._must_cancel = False\n", ""),
    ("virtual_loop.py", "heapq.heappush(self.timers, (when_us, self.made, handle))",
     "heapq.heappush(self.timers, (when_us, -self.made, handle))"),
    ("judge.py", "                return\n            for task in tasks:\n                task.cancel()\n",
     "                return\n            if getattr(self, \"closed\", False):\n                return\n"
     "            self.closed = True\n            for task in tasks:\n                task.cancel()\n"),
    ("asyncio313.py", "            if future.done():\n                done.append(future)\n            else:\n"
     "                future.add_done_callback(on_done)", "            future.add_done_callback(on_done)"),
    ("asyncio313.py", "        if outer.cancel_requested:", "        if False:"),
    ("asyncio313.py", "self.task.uncancel() <= self.cancelling and", "self.task.uncancel() == 0 and"),
    ("asyncio313.py", "        if self.aborting:\n            coro.close()\n"
     "            raise RuntimeError(\"TaskGroup %s is shutting down\" % self)\n", ""),
    ("asyncio313.py", "            if self.parent.cancelling():\n                self.parent.uncancel()\n"
     "                self.parent.cancel()\n", ""),
    ("asyncio313.py", "        if self.parent_cancelled and self.parent.uncancel() == 0:\n"
     "            cancelled = None\n",
     "        if self.parent_cancelled:\n            cancelled = None\n"),
    ("asyncio313.py", "                if not self.aborting:\n                    cancelled = e\n"
     "                    self.abort()", "                cancelled = e\n                self.abort()"),
    ("asyncio313.py", "            if future.done() and not future.cancelled():\n"
     "                self._value += 1\n            raise", "            raise"),
    ("asyncio313.py", "            while self._value > 0 and self._wake_up_next():\n                pass\n",
     "            self._value > 0 and self._wake_up_next()\n"),
    ("asyncio313.py", "        except BaseException:\n            self.wake(1)\n            raise\n\n    def wake",
     "        except ZeroDivisionError:\n            raise\n\n    def wake"),
    ("asyncio313.py", "        self._cond = Condition()", "        self._cond = asyncio.Condition()"),
    ("asyncio313.py", "            if self._unfinished_tasks == 0:\n                self._finished.set()\n", ""),
    ("asyncio313.py", "        for waiters in (self._getters, self._putters):",
     "        for waiters in (self._putters, self._getters):"),
    ("asyncio313.py", "            if not blocked() and not waiter.cancelled():\n"
     "                self._wakeup_next(waiters)\n", ""),
    ("asyncio313.py", "        for task in sorted(todo, key=lambda t: t.number):", "        for task in todo[::-1]:"),
    ("asyncio313.py", "    tasks = sorted(dict.fromkeys(tasks), key=lambda t: t.number)",
     "    tasks = list(dict.fromkeys(tasks))"),
    ("judge_flow.py", "            return raised[0] if alone else error", "            return error"),
]
