/* The picture of a timeline: one row a task, thin while it waits, thick while a command runs. */
#include <string.h>

#include "client/get.h"
#include "client/text.h"
#include "client/timeline.h"
#include "proto/buf.h"
#include "proto/mem.h"

#define WIDTH     1000.0
#define MARGIN    20.0
#define NAMES     250.0 /* the column of names */
#define ENDS      64.0  /* room for a duration behind the last bar */
#define HEAD      78.0
#define ROW       24.0
#define FOOT      44.0
#define LEFT      (MARGIN + NAMES + 12)
#define CHARACTER 6.3 /* about so wide is one of the names' */
#define INDENT    12.0
#define DEPTH_MAX 8
#define TICKS_MAX 9

static const char style[] =
    "text{font:13px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1f2328}\n"
    ".page{fill:#ffffff;stroke:#d1d9e0}.title{font-size:17px;font-weight:600}\n"
    ".dim,.tick,.took{fill:#59636e}.tick,.took{font-size:11px}.id{fill:#818b98;font-size:11px}\n"
    ".line{stroke:#e4e8ec}.odd{fill:#f6f8fa}\n"
    ".succeeded{fill:#2da44e}.failed{fill:#cf222e}.running{fill:#0969da}.cancelled{fill:#bf8700}\n"
    ".lost{fill:#8250df}.other{fill:#818b98}.wait{opacity:.45}\n"
    "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117;stroke:#30363d}\n"
    ".dim,.tick,.took{fill:#9198a1}.id{fill:#767e88}.line{stroke:#262c33}.odd{fill:#131920}\n"
    ".succeeded{fill:#3fb950}.failed{fill:#f85149}.running{fill:#4493f8}.cancelled{fill:#d29922}\n"
    ".lost{fill:#ab7df8}.other{fill:#767e88}}\n";

struct picture {
    FILE *out;
    const struct timeline_svg *about;
    double scale; /* pixels a second */
};

/* Text for XML, cut to max columns (0: whole). */
static void put_text(FILE *out, const char *text, size_t max)
{
    struct buf safe = {0};
    text_put_safe(&safe, text, strlen(text), max, true);
    for (size_t i = 0; i < safe.len; i++) {
        switch (safe.data[i]) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(safe.data[i], out);
        }
    }
    buf_release(&safe);
}

static const char *class_of(const char *state)
{
    static const char *const known[] = {"succeeded", "failed", "running", "cancelled", "lost"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(known[i], state) == 0)
            return known[i];
    }
    return "other";
}

static double x_at(const struct picture *p, double s)
{
    return LEFT + s * p->scale;
}

/* A round distance of ticks: at most TICKS_MAX of them. */
static double tick_step(double duration)
{
    static const double steps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                   600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    for (double unit = 1e-6; unit < 0.5; unit *= 10) {
        for (size_t i = 0; i < 3; i++) {
            if (duration / (unit * steps[i]) <= TICKS_MAX)
                return unit * steps[i];
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (duration / steps[i] <= TICKS_MAX)
            return steps[i];
    }
    double days = 1;
    while (duration / (days * 86400) > TICKS_MAX)
        days *= 2;
    return days * 86400;
}

static void put_seconds(FILE *out, double s)
{
    struct buf text = {0};
    if (s == 0)
        buf_addch(&text, '0');
    else if (s < 0.001)
        buf_printf(&text, "%.3gms", s * 1e3);
    else
        text_put_duration(&text, s);
    put_text(out, buf_cstr(&text), 0);
    buf_release(&text);
}

static void put_axis(const struct picture *p, double bottom)
{
    double duration = p->about->duration, step = tick_step(duration);

    for (int i = 0; i * step <= duration * 1.000001; i++) {
        double x = x_at(p, i * step);
        fprintf(p->out,
                "<line class=\"line\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                x, x, HEAD + 4, bottom, x, HEAD - 2);
        put_seconds(p->out, i * step);
        fputs("</text>\n", p->out);
    }
}

static void put_bar(const struct picture *p, double from, double to, double y, double height,
                    const char *class, bool waits, const char *tip)
{
    double x = x_at(p, from), w = x_at(p, to) - x;
    fprintf(p->out,
            "<rect class=\"%s%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%.1f\">"
            "<title>",
            class, waits ? " wait" : "", x, y - height / 2, w > 1.5 ? w : 1.5, height,
            w > height ? height / 4 : 0.5);
    put_text(p->out, tip, 200);
    fputs(" (", p->out);
    put_seconds(p->out, to - from);
    fputs(")</title></rect>\n", p->out);
}

static double end_of(const struct picture *p, const json_t *object)
{
    const json_t *end = json_object_get(object, "end");
    return json_is_number(end) ? json_number_value(end) : p->about->duration;
}

static void put_name(const struct picture *p, const json_t *task, double y)
{
    json_int_t depth = get_int(task, "depth");
    double x = MARGIN + INDENT * (double)(depth < DEPTH_MAX ? depth : DEPTH_MAX);
    const char *name = get_text(task, "name");

    fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\"><title>", x, y + 4.5);
    put_text(p->out, name, 0);
    fprintf(p->out, "</title><tspan class=\"id\">.%lld</tspan><tspan dx=\"5\">",
            (long long)get_int(task, "task"));
    double room = MARGIN + NAMES - x;
    put_text(p->out, name, (size_t)(room / CHARACTER) - 4);
    fputs("</tspan></text>\n", p->out);
}

static void put_task(const struct picture *p, const json_t *task, size_t row)
{
    double y = HEAD + 8 + ROW * ((double)row + 0.5);
    double from = get_real(task, "start"), to = end_of(p, task);
    const char *class = class_of(get_text(task, "state"));
    const json_t *runs = json_object_get(task, "runs"), *run;
    size_t i;

    put_name(p, task, y);
    if (runs == NULL)
        put_bar(p, from, to, y, 12, class, false, get_text(task, "name"));
    else
        put_bar(p, from, to, y, 4, class, true, get_text(task, "name"));
    json_array_foreach (runs, i, run)
        put_bar(p, get_real(run, "start"), end_of(p, run), y, 12, class_of(get_text(run, "state")),
                false, get_text(run, "command"));
    fprintf(p->out, "<text class=\"took\" x=\"%.1f\" y=\"%.1f\">", x_at(p, to) + 6, y + 4);
    put_seconds(p->out, to - from);
    fputs("</text>\n", p->out);
}

/* Whether a task or a command of the timeline is in this state. */
static bool has_state(const json_t *timeline, const char *state)
{
    size_t i, k;
    const json_t *task, *run;
    json_array_foreach (timeline, i, task) {
        if (strcmp(get_text(task, "state"), state) == 0)
            return true;
        json_array_foreach (json_object_get(task, "runs"), k, run)
            if (strcmp(get_text(run, "state"), state) == 0)
                return true;
    }
    return false;
}

static void put_legend(const struct picture *p, const json_t *timeline, double y)
{
    static const char *const states[] = {"succeeded", "failed", "running", "cancelled", "lost"};
    double x = MARGIN;

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (!has_state(timeline, states[i]))
            continue;
        fprintf(p->out,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" rx=\"3\"/>"
                "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                states[i], x, y - 10, x + 18, y, states[i]);
        x += 92;
    }
    if (json_object_get(json_array_get(timeline, 0), "runs") != NULL)
        fprintf(
            p->out,
            "<rect class=\"other\" x=\"%.1f\" y=\"%.1f\" width=\"24\" height=\"12\" rx=\"3\"/>"
            "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">a command runs</text>"
            "<rect class=\"other wait\" x=\"%.1f\" y=\"%.1f\" width=\"24\" height=\"4\" rx=\"1\"/>"
            "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">the task waits</text>\n",
            x, y - 10, x + 30, y, x + 130, y - 6, x + 160, y);
    if (p->about->more > 0)
        fprintf(p->out,
                "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">and %lld tasks "
                "more</text>\n",
                WIDTH - MARGIN, y, p->about->more);
}

void timeline_svg(FILE *out, const json_t *timeline, const struct timeline_svg *about)
{
    size_t n = json_array_size(timeline), i;
    double bottom = HEAD + 8 + ROW * (double)n, height = bottom + FOOT;
    double duration = about->duration > 1e-6 ? about->duration : 1e-6;
    struct picture p = {out, about, (WIDTH - LEFT - ENDS) / duration};
    const json_t *task;

    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
            "height=\"%.0f\" role=\"img\">\n<style>\n%s</style>\n<title>",
            WIDTH, height, WIDTH, height, style);
    put_text(out, about->title, 200);
    fprintf(out,
            "</title>\n<rect class=\"page\" x=\".5\" y=\".5\" width=\"%.0f\" height=\"%.0f\" "
            "rx=\"8\"/>\n<text class=\"title\" x=\"%.1f\" y=\"30\">",
            WIDTH - 1, height - 1, MARGIN);
    put_text(out, about->title, 64);
    fputs("</text>\n", out);
    if (about->subtitle != NULL) {
        fprintf(out, "<text class=\"dim\" x=\"%.1f\" y=\"51\">", MARGIN);
        put_text(out, about->subtitle, 110);
        fputs("</text>\n", out);
    }
    for (i = 1; i < n; i += 2)
        fprintf(out, "<rect class=\"odd\" x=\"1\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                HEAD + 8 + ROW * (double)i, WIDTH - 2, ROW);
    put_axis(&p, bottom + 4);
    json_array_foreach (timeline, i, task)
        put_task(&p, task, i);
    put_legend(&p, timeline, bottom + FOOT - 16);
    fputs("</svg>\n", out);
}
