"""The jobs of the torture, each made with what must come of it (checker.py compares): a function of a random
generator gives the document (or its main part, or a function of the job's tag that gives that) and

    state value error output      what the job ends with ("succeeded" unless given)
    groups                        lists of lines that it prints, each list in its order
    leaves                        its commands by name: with which statuses those that are not lost exit; None: stopped
    order                         pairs of commands, the first of which has ended before the second begins
    fails holes                   it ends with LostError when a command is lost; places of the value may be one
    items                         so many items are taken from a queue by tasks, each of which gives a list
    steer                         what its client does with it (load.py)
    again                         what comes of it when it is retried, which its client does
    limit                         its pool, whose jobs are removed for their age or number (LIMITS)
"""
import collections

# The config's keep_pools: how many ended jobs of these pools are kept, and for how many seconds (0: any).
Limit = collections.namedtuple("Limit", "jobs seconds")
LIMITS = {"few": Limit(3, 0), "brief": Limit(0, 3)}


# What a command writes down: that it began, and how it is about to end.
NOTE = 'note() { echo "$1 $CORO_ATTEMPT $CORO_TASK $TAG $LEAF" >>"$RAN"; }; note s; '


def sh(leaf, body=":", exit=0, **keys):
    """A command that leaves a mark when it begins and when it ends."""
    return {"sh": "%s%s; note e%d; exit %d" % (NOTE, body, exit, exit), "env": {"LEAF": leaf}, **keys}


def stdout_of(node):
    return [{**node, "as": "r"}, {"return": "${r.stdout}"}]


def pause(r, most=0.2):
    return "sleep %.3f" % (r.random() * most)


def gather(r):
    n = r.randint(2, 10)
    lost = r.choice(("fail", "retry"))
    return ([{"gather": {"for": "i", "in": {"range": n},
                         "do": stdout_of(sh("w${i}", pause(r) + "; echo out$LEAF", on_lost=lost))},
              "return_exceptions": True, **r.choice(({}, {"limit": 3})), "as": "all"},
             {"return": "${all}"}],
            {"value": ["outw%d" % i for i in range(n)], "holes": lost == "fail",
             "leaves": {"w%d" % i: [0] for i in range(n)}})


def group(r):
    """One fails, the others are cancelled."""
    others = ["long%d" % i for i in range(r.randint(1, 4))]
    nodes = [sh(name, "sleep 300", on_lost="retry") for name in others]
    nodes.insert(r.randint(0, len(nodes)), sh("bad", pause(r), exit=3, on_lost="retry"))
    return ([{"try": {"task_group": nodes},
              "except": [{"type": "ExceptionGroup", "do": {"print": "failed"}}]},
             sh("after", on_lost="retry"), {"return": 1}],
            {"value": 1, "output": ["failed"],
             "leaves": {"bad": [3], "after": [0], **{name: None for name in others}}})


def dag(r):
    """Children that wait for others by name."""
    def child(name, *others):
        return [*({"await": "${%s}" % o} for o in others),
                *stdout_of(sh(name, pause(r) + "; echo $LEAF", on_lost="retry"))]
    return ([{"task_group": {"a": child("a"), "b": child("b", "a"), "c": child("c", "a"), "d": child("d", "b", "c")},
              "as": "v"}, {"return": "${v}"}],
            {"value": {n: n for n in "abcd"}, "leaves": {n: [0] for n in "abcd"},
             "order": [["a", "b"], ["a", "c"], ["b", "d"], ["c", "d"]]})


def race(r):
    quick = stdout_of(sh("quick", pause(r) + "; echo first", on_lost="retry"))
    slow = [{"try": sh("slow", "sleep 300", on_lost="retry"), "finally": sh("cleanup", on_lost="retry")}]
    return ([{"race": [slow, quick], "as": "v"}, {"return": "${v}"}],
            {"value": "first", "leaves": {"quick": [0], "slow": None, "cleanup": [0]}})


def queue(r):
    """Items go from a producer to consumers, some of which run a command for theirs."""
    n, workers = r.randint(10, 60), r.randint(1, 3)
    worker = {"params": ["q", "me"], "do": [
        {"set": {"got": []}},
        {"for": "x", "in": "${q}", "do": [
            {"set": {"got": ["...${got}", "${x}"]}},
            {"if": {"==": [{"%": [{"var": "x"}, 5]}, 0]}, "then": sh("item${x}", on_lost="retry"),
             "else": {"sleep": r.choice((0, 0.004))}},
            {"print": "${me} ${x}"}, {"task_done": "${q}"}]},
        {"return": "${got}"}]}
    return ({"define": {"worker": worker},
             "main": [{r.choice(("queue", "priority_queue")): r.choice(({}, {"maxsize": 3})), "as": "q"},
                      {"gather": [[{"for": "i", "in": {"range": n}, "do": {"put": "${i}", "into": "${q}"}},
                                   {"join": "${q}"}, {"shutdown": "${q}"}, {"return": []}],
                                  *({"call": "worker", "args": {"q": "${q}", "me": "c%d" % k}}
                                    for k in range(workers))], "as": "v"},
                      {"return": "${v}"}]},
            {"items": n, "leaves": {"item%d" % i: [0] for i in range(0, n, 5)}})


def lines(r):
    """A command's output as it comes; half of it is more than memory holds before it is a file."""
    n = r.randint(20, 200)
    pad = r.choice(("x", "x" * 400))
    slow = r.choice(("", "sleep 0.01; "))
    body = "i=0; while [ $i -lt %d ]; do echo $i %s; i=$((i+1)); %sdone" % (n, pad, slow)
    return ([{"for": "line", "in": {"lines": sh("lines", body)}, "do": [
                {"print": "${line}"}, *r.choice(([], [{"sleep": 0.003}]))]}, {"return": "all"}],
            {"value": "all", "output": [("%d %s" % (i, pad)) for i in range(n)], "fails": True,
             "leaves": {"lines": [0]}})


def retry(r):
    """Fails twice; what it counts by is a file, so that lost attempts may count or not."""
    body = 'echo x >>"$RAN.$TAG"; if [ $(wc -l <"$RAN.$TAG") -lt 3 ]; then note e1; exit 1; fi; echo ok'
    return ([{**sh("again", body, on_lost="retry"), "retry": {"attempts": 4, "delay": 0.05}, "as": "v"},
             {"return": "${v.stdout}"}],
            {"value": "ok", "leaves": {"again": [1, 1, 0]}, "counts_lost": True})


def timeout(r):
    return ([{"try": {**sh("slow", "sleep 300", on_lost="retry"), "timeout": 0.1 + r.random() / 2},
              "except": [{"type": "TimeoutError", "do": {"print": "timeout"}}]},
             sh("after", on_lost="retry"), {"return": 2}],
            {"value": 2, "output": ["timeout"], "leaves": {"slow": None, "after": [0]}})


def cancel(r):
    """Never ends by itself: its client cancels it."""
    del r
    return ([{"print": "begun"},
             {"try": sh("long", "sleep 300", on_lost="retry"), "finally": [{"print": "cleans"}, sh("cleanup", on_lost="retry")]}],
            {"state": "cancelled", "leaves": {"long": None, "cleanup": [0]}, "cancel": True, "steer": "cancel",
             "output": ["begun", "cleans"]})


def timers(r):
    n = r.randint(5, 25)

    def count(who, seconds):
        return [{"for": "i", "in": {"range": n}, "do": [{"print": who + " ${i}"},
                                                       {"sleep": seconds}]}, {"return": who}]
    return ([{"gather": [count("a", 0.02), count("b", 0.03), count("c", 0)], "as": "v"}, {"return": "${v}"}],
            {"value": ["a", "b", "c"], "groups": [["%s %d" % (who, i) for i in range(n)] for who in "abc"]})


def locks(r):
    n = r.randint(4, 15)
    return ([{"lock": {}, "as": "l"}, {"semaphore": 1, "as": "s"}, {"event": {}, "as": "go"},
             {"create_task": [{"sleep": 0.1}, {"set_event": "${go}"}]},
             {"gather": {"for": "i", "in": {"range": n}, "do": [
                 {"with": "${l}", "do": [{"print": "l${i}"}, {"sleep": 0.005}]},
                 {"with": "${s}", "do": [{"print": "s${i}"}, sh("s${i}", on_lost="retry")]},
                 {"wait": "${go}"}, {"return": "${i}"}]}, "as": "v"},
             {"return": "${v}"}],
            {"value": list(range(n)), "groups": [["%s%d" % (x, i) for i in range(n)] for x in "ls"],
             "leaves": {"s%d" % i: [0] for i in range(n)}})


def long(r):
    """Runs while many are killed; its output is followed."""
    n = r.randint(10, 40)
    body = "i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); sleep 0.05; done" % n
    return (stdout_of(sh("long", body)),
            {"value": "\n".join("line %d" % i for i in range(n)), "fails": True, "leaves": {"long": [0]},
             "log": "".join("line %d\n" % i for i in range(n))})


def work(r, leaf="work"):
    """A little of everything, for what is steered from outside."""
    n = r.randint(2, 6)
    return ([{"for": "i", "in": {"range": n}, "do": [
                {"print": "${i}"}, sh(leaf + "${i}", pause(r, 0.1), on_lost="retry"), {"sleep": 0.01}]},
             {"return": n}],
            {"value": n, "output": [str(i) for i in range(n)], "leaves": {"%s%d" % (leaf, i): [0] for i in range(n)}})


def paused(r):
    main, expect = work(r)
    return main, {**expect, "steer": "pause"}


def held(r):
    main, expect = work(r)
    return {"main": main, "hold": True}, {**expect, "steer": "hold"}


def delayed(r):
    main, expect = work(r)
    delay = round(0.1 + r.random(), 1)
    return {"main": main, "delay": delay}, {**expect, "delay": delay}


def removed(r):
    main, expect = work(r)
    return main, {**expect, "steer": "remove"}


def first(r):
    """Another job waits for this one."""
    status = r.choice((0, 3))
    return ([sh("first", pause(r), exit=status, on_lost="retry"), {"return": 1}],
            {**({"state": "failed"} if status else {"value": 1}), "leaves": {"first": [status]}, "steer": "then"})


def puts(r):
    """A queue with a name: two other jobs take what this one puts into it."""
    n = r.randint(10, 40)
    return (lambda tag, _: [{"queue": {"name": tag, "maxsize": 3}, "as": "q"},
                         {"for": "i", "in": {"range": n}, "do": {"put": "${i}", "into": "${q}"}},
                         {"join": "${q}"}, {"shutdown": "${q}"}, {"return": n}],
            {"value": n, "steer": "take"})


def outside(r):
    """Clients take what the job puts into a queue with a name."""
    n = r.randint(3, 15)
    return (lambda tag, _: [{"queue": {"name": tag, "maxsize": 5}, "as": "q"},
                            {"for": "i", "in": {"range": n}, "do": {"put": "${i}", "into": "${q}"}},
                            {"join": "${q}"}, {"return": n}],
            {"value": n, "steer": "outside"})


def again(r):
    """Some of its items fail until its client has made a file."""
    n = r.randint(2, 8)
    bad = r.sample(range(n), r.randint(1, n - 1))
    body = 'case $LEAF in %s) if [ ! -e "$RAN.$TAG" ]; then note e3; exit 3; fi;; esac; %s; echo out$LEAF' % (
        "|".join("w%d" % i for i in bad), pause(r, 0.1))
    return ([{"gather": {"for": "i", "in": {"range": n}, "do": stdout_of(sh("w${i}", body, on_lost="retry"))},
              "return_exceptions": True, "as": "all"}, {"return": "${all}"}],
            {"leaves": {"w%d" % i: [3] if i in bad else [0] for i in range(n)}, "steer": "retry",
             "again": {"value": ["outw%d" % i for i in range(n)], "leaves": {"w%d" % i: [0] for i in range(n)}}})


def few(r):
    main, expect = work(r)
    return {"main": main, "pool": "few"}, {**expect, "steer": "expire", "limit": "few"}


def brief(r):
    main, expect = work(r)
    return {"main": main, "pool": "brief"}, {**expect, "steer": "expire", "limit": "brief"}


def killed(r):
    """Its client kills it: no clean-up."""
    main, expect = cancel(r)
    return main, {**expect, "output": ["begun"], "leaves": {"long": None}, "steer": "kill"}


def http(r):
    """A GET is sent again when it was lost, a POST is not."""
    method = r.choice(("GET", "POST"))
    return (lambda tag, world: [{"http": {"url": world.url + tag, "method": method}, "as": "r"},
                                {"return": "${r.body}"}],
            {"value": "answer", "fails": method == "POST", "http": method})


KINDS = [gather, group, dag, race, queue, lines, retry, timeout, cancel, timers, locks, long, paused, held, delayed,
         removed, first, puts, outside, killed, http, again, few, brief]
