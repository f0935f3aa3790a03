/*
 * SVG breaks no lines: a remark is cut between words, by about as much as a
 * letter takes.
 *
 * The size stands at the front of a file, so that all is drawn to memory first.
 */
#include "svg.h"

#include "markup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EDGE         24U
#define TITLE_HEIGHT 26U
#define LINE_HEIGHT  18U
#define LINE_LETTERS 150U

static const char style[] = "svg .title{font-size:18px;font-weight:600;"
                            "fill:#1f2933}svg .remark{font-size:13px}\n";

int svg_init(struct svg *svg)
{
    *svg = (struct svg){.width = PLOT_WIDTH, .height = EDGE};
    svg->body = open_memstream(&svg->text, &svg->len);
    return svg->body ? 0 : -ENOMEM;
}

/* How much of a text is a line. */
static size_t measure_line(const char *text)
{
    size_t len = strlen(text);

    if (len <= LINE_LETTERS) {
        return len;
    }
    len = LINE_LETTERS;
    while (len > 0 && text[len] != ' ') {
        len--;
    }
    return len > 0 ? len : strlen(text);
}

static void add_text(struct svg *svg, const char *kind, const char *text,
                     size_t len)
{
    fprintf(svg->body, "<text class=\"%s\" x=\"%u\" y=\"%u\">", kind, EDGE,
            svg->height + 14);
    markup_write_part(text, len, svg->body);
    fputs("</text>\n", svg->body);
}

void svg_add(struct svg *svg, const struct plot *plot)
{
    add_text(svg, "title", plot->title, strlen(plot->title));
    svg->height += TITLE_HEIGHT;
    for (const char *text = plot->remark; *text;) {
        size_t len = measure_line(text);
        add_text(svg, "remark", text, len);
        svg->height += LINE_HEIGHT;
        text += len + (text[len] == ' ');
    }
    svg->height += LINE_HEIGHT / 2;
    fprintf(svg->body, "<g transform=\"translate(0 %u)\">\n", svg->height);
    if (plot_is_drawn(plot)) {
        plot_draw(plot, svg->body);
    }
    fputs("</g>\n", svg->body);
    svg->height += plot->height + EDGE;
    svg->width = plot->width > svg->width ? plot->width : svg->width;
}

int svg_write(struct svg *svg, FILE *out)
{
    if (fflush(svg->body) != 0 || ferror(svg->body)) {
        return -ENOMEM;
    }
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" "
            "height=\"%u\" viewBox=\"0 0 %u %u\">\n<style>\n",
            svg->width, svg->height, svg->width, svg->height);
    plot_write_style(out);
    fputs(style, out);
    fputs("</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
          out);
    fwrite(svg->text, 1, svg->len, out);
    fputs("</svg>\n", out);
    if (fflush(out) != 0 || ferror(out)) {
        return errno ? -errno : -EIO;
    }
    return 0;
}

void svg_fini(struct svg *svg)
{
    if (svg->body) {
        (void)fclose(svg->body);
    }
    free(svg->text);
    *svg = (struct svg){0};
}
