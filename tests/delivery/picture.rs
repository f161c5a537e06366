//! `docs/delivery.md` and `docs/delivery.svg`, made from the matrix. Nothing in them depends on the time, on ports or on chance.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::caller::{Call, Mode};
use crate::matrix::{Cell, Column, PHASES, Row, columns, is_race};
use crate::oracle::Delivery;

/// What is said in each cell.
pub type Said = BTreeMap<Cell, Delivery>;

/// What a fault comes to in a column: when it strikes once, and for ever. `None` where that can't be.
type Shown = Option<(Option<char>, char)>;

/// Rows of a phase that come to the same in every column.
struct Group<'a> {
    rows: Vec<&'a Row>,
    cells: Vec<Shown>,
}

/// Where who is quicker decides what happened. What was said was right each time.
const RACE: char = '~';

const fn letter(delivery: Delivery) -> char {
    match delivery {
        Delivery::NotSent => 'N',
        Delivery::Rejected => 'R',
        Delivery::Unknown => 'U',
        Delivery::Delivered => 'D',
    }
}

fn groups<'a>(rows: &'a [Row], said: &Said, phase: &str) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (number, row) in rows.iter().enumerate().filter(|(_, row)| row.phase == phase) {
        let shown = |column: Column| -> Shown {
            let at = |forever| {
                let delivery = said.get(&Cell { row: number, column, forever })?;
                Some(if is_race(row, column) { RACE } else { letter(*delivery) })
            };
            Some((at(false), at(true)?))
        };
        let cells: Vec<Shown> = columns().into_iter().map(shown).collect();
        match groups.iter_mut().find(|group| group.cells == cells) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { rows: vec![row], cells }),
        }
    }
    groups
}

/// How a row is called.
pub fn name(row: &Row) -> String {
    match row.call {
        Call::One => row.name.clone(),
        call => format!("{} ({})", row.name, call.name()),
    }
}

/// What the totals count.
struct Totals {
    faults: usize,
    cells: usize,
    by_delivery: Vec<(Delivery, usize)>,
}

impl Totals {
    fn of(rows: &[Row], said: &Said) -> Totals {
        let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let certain = || said.iter().filter(|(cell, _)| !is_race(&rows[cell.row], cell.column));
        let count = |wanted: Delivery| certain().filter(|(_, delivery)| **delivery == wanted).count();
        Totals {
            faults: names.len(),
            cells: said.len(),
            by_delivery: Delivery::ALL.into_iter().map(|delivery| (delivery, count(delivery))).collect(),
        }
    }

    fn races(&self) -> usize {
        self.cells - self.by_delivery.iter().map(|(_, count)| count).sum::<usize>()
    }
}

/// A number with commas between its thousands.
fn number(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const HEAD: &str = "\
# Delivery under faults

<!-- Written by the test `delivery`; PUSHER_WRITE_DELIVERY=1 has it written anew. -->

What does the library say of an event when the network or the server fails? This page shows it for every fault that we know how to
make, on every kind of connection, under every retry mode. The picture, [`delivery.svg`](delivery.svg), has the same in colours.

It is not written by hand. A [server that fails on request](../tools/fault-server/README.md) keeps a ledger of what it really did: what it
read, what it published, what it answered, how it ended. A library preloaded into the client's process
([`witness.c`](../tests/c/witness.c)) knows which bytes the kernel took; it can also refuse to take them, which is the one thing that no
server can bring about. From these two, an [oracle](../tests/delivery/oracle.rs) that shares no code with the library works out what
has to be said. `tests/delivery/main.rs` makes every call in a process of its own, by the C ABI, and holds four things against each other:
what the library said, what follows from what happened, how often the event was published, and this page. If one of them differs, the
test fails.

## The rule

It is the phase that decides, not the error number: a reset may come before, during and after the server's work.

| the attempt broke | it is | status |
|---|---|---|
| before the kernel had taken the request's last byte (look-up, connection, proxy, TLS, sending), and no final status came | `not_sent` | `NOT_SENT` |
| after that, and no valid status line came | `unknown` | `DELIVERY_UNKNOWN` |
| behind a status line of 2xx: the answer is cut, malformed, too long or not JSON, or came before the request had left whole | `unknown` | `BAD_RESPONSE` |
| not at all: 2xx and a whole answer | `delivered` | `OK` |
| by 3xx, 401, 403, 404, 405, 407, 415 or 429 | `rejected` | `REDIRECTED`, `UNAUTHORIZED`, … |
| by another 4xx, one event for one channel | `rejected` | `BAD_REQUEST`, `PAYLOAD_TOO_LARGE` |
| by another 4xx, several: servers apply them in order and stop at the bad one | `unknown` | the same |
| by 5xx: it may come from a cache that has passed the request on | `unknown` | `SERVER_ERROR` |

A call that was sent more than once is what its last attempt is, but once an attempt was `unknown` only `delivered` can replace that.
";

const READING: &str = "\
## How to read it

**N** `not_sent` · **R** `rejected` · **U** `unknown` · **D** `delivered` · **~** who is quicker decides what happens (the kernel that
takes the request, or the reset that is under way); what is said is held against what happened all the same

One letter: the same whether the fault strikes once or for ever. Two: once, and for ever. Empty: it can't be (a certificate without
TLS, a handshake on a connection that is used again). Each combination has three columns: `never`, `safe` and `at_least_once` (alo).

Faults that come to the same in every column share a row. The call is one event on one channel unless the row says otherwise; a large
event is one that does not fit into the kernel's buffers, so that the fault strikes while it is being sent. Behind the answer, on a
reused connection, the fault struck the request before. What each fault does stands in the
[server's table](../tools/fault-server/README.md), for those of the kernel below.
";

/// `docs/delivery.md`.
pub fn markdown(rows: &[Row], said: &Said) -> String {
    let totals = Totals::of(rows, said);
    let mut text = HEAD.to_owned();
    text.push('\n');
    text.push_str(READING);
    text.push_str("\n## Totals\n\n");
    writeln!(
        text,
        "{} faults, {} calls under them. What was said was right in each: no event was said to be delivered that was not published, none\n\
         `not_sent` or `rejected` that was, none `unknown` that can be known; and none was published twice but under `at_least_once`.\n\
         (Three faults are lies that no client can see through: they say 200 before they have the request, and may then lose it.)\n",
        number(totals.faults),
        number(totals.cells)
    )
    .unwrap();
    text.push_str("| said | calls |\n|---|---:|\n");
    for (delivery, count) in &totals.by_delivery {
        writeln!(text, "| `{}` | {} |", delivery.name(), number(*count)).unwrap();
    }
    writeln!(text, "| one or the other (~) | {} |\n", number(totals.races())).unwrap();
    text.push_str(&mode_totals(rows, said));
    for (phase, title) in PHASES {
        let groups = groups(rows, said, phase);
        if groups.is_empty() {
            continue;
        }
        writeln!(text, "\n## {title}\n").unwrap();
        text.push_str("| | plain, fresh | | | plain, reused | | | TLS, fresh | | | TLS, reused | | |\n");
        text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
        text.push_str("| | never | safe | alo | never | safe | alo | never | safe | alo | never | safe | alo |\n");
        for group in &groups {
            let names: Vec<String> = group.rows.iter().map(|row| format!("`{}`", name(row))).collect();
            write!(text, "| {} |", names.join(", ")).unwrap();
            for cell in &group.cells {
                let cell = match cell {
                    None => String::new(),
                    Some((None, ever)) => ever.to_string(),
                    Some((Some(once), ever)) if once == ever => ever.to_string(),
                    Some((Some(once), ever)) => format!("{once} {ever}"),
                };
                write!(text, " {cell} |").unwrap();
            }
            text.push('\n');
        }
        if phase == "sending" {
            text.push('\n');
            for row in groups.iter().flat_map(|group| &group.rows) {
                writeln!(text, "- `{}`: {}", row.name, row.what).unwrap();
            }
        }
    }
    text.push_str(FOOT);
    text
}

/// How the modes differ.
fn mode_totals(rows: &[Row], said: &Said) -> String {
    let mut text = "Of the faults that strike once, what is said of the call (without ~):\n\n".to_owned();
    text.push_str("| mode | `not_sent` | `rejected` | `unknown` | `delivered` |\n|---|---:|---:|---:|---:|\n");
    for mode in Mode::ALL {
        write!(text, "| `{}` |", mode.name()).unwrap();
        for wanted in Delivery::ALL {
            let counts = |(cell, delivery): &(&Cell, &Delivery)| {
                cell.column.mode == mode
                    && !cell.forever
                    && **delivery == wanted
                    && !is_race(&rows[cell.row], cell.column)
            };
            write!(text, " {} |", number(said.iter().filter(counts).count())).unwrap();
        }
        text.push('\n');
    }
    text
}

const FOOT: &str = "
## What else is held

- **Every byte.** The answer is cut after each of its bytes, by FIN and by RST; the request is cut after each of its bytes, on the
  server's side by FIN and by RST, on the client's by `ECONNRESET` and by `EPIPE`, under TLS after each byte of the handshake and of
  the records. Plain and TLS, new and used connections. What is said follows the rule each time.
- **Wrong clients.** The same gates are run against clients that are wrong on purpose: one that sends again what is unknown, one that
  follows redirects, one that takes what was written for delivered, one that calls every failure unknown, one that never tries again,
  one that calls every 4xx and 5xx rejected. Each is caught.
- **A crowd.** 100,000 events from eight threads of one client on a server that fails by chance, in the modes `never` and `safe`: each
  has one outcome, and the server's ledger agrees with it (`scripts/delivery.sh`).
";

const LABEL: usize = 330;
const HALF: usize = 20;
const CELL: usize = 2 * HALF;
const GAP: usize = 8;
const HEIGHT: usize = 18;
const TOP: usize = 122;

/// What "+ 3" means.
const MORE: &str = "+ 3: three more faults come to the same in every column. docs/delivery.md names them all.";

/// Where a column begins.
fn x_of(column: usize) -> usize {
    LABEL + column * (CELL + 2) + column / 3 * GAP
}

const STYLE: &str = "\
text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; }
.phase { font-size: 13px; font-weight: 600; }
.quiet { fill: #59636e; font-size: 11px; }
.mono { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.paper { fill: #ffffff; }
.letter { font-size: 11px; font-weight: 600; fill: #111111; text-anchor: middle; }
.middle { text-anchor: middle; }
.N { fill: #56b4e9; } .R { fill: #d9a3c3; } .U { fill: #e69f00; } .D { fill: #2fb387; } .race { fill: #c4c9cf; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .paper { fill: #0d1117; }
  .letter { fill: #111111; }
}
";

/// `docs/delivery.svg`.
pub fn svg(rows: &[Row], said: &Said) -> String {
    let totals = Totals::of(rows, said);
    let width = x_of(columns().len()) + GAP;
    let mut body = String::new();
    let mut y = TOP;
    for (phase, title) in PHASES {
        let groups = groups(rows, said, phase);
        if groups.is_empty() {
            continue;
        }
        y += 12;
        writeln!(body, r#"<text class="phase" x="12" y="{}">{title}</text>"#, y + 12).unwrap();
        y += HEIGHT + 2;
        for group in &groups {
            let names: Vec<String> = group.rows.iter().map(|row| name(row)).collect();
            writeln!(body, r#"<text class="mono" x="12" y="{}">{}</text>"#, y + 13, label(&names)).unwrap();
            for (column, cell) in group.cells.iter().enumerate() {
                let Some((once, ever)) = cell else { continue };
                let x = x_of(column);
                match once {
                    Some(once) if once != ever => {
                        rectangle(&mut body, x, y, HALF, *once);
                        rectangle(&mut body, x + HALF, y, HALF, *ever);
                    }
                    _ => rectangle(&mut body, x, y, CELL, *ever),
                }
            }
            y += HEIGHT;
        }
    }
    let height = y + 14;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>What libpusher says of an event's delivery under {} faults</title>\n\
         <desc>Rows are faults, columns are kinds of connections and retry modes; each cell has the letter of what is said. \
         docs/delivery.md has the same as tables.</desc>\n<style>\n{STYLE}</style>\n",
        totals.faults
    );
    writeln!(text, r#"<rect class="paper" width="{width}" height="{height}"/>"#).unwrap();
    writeln!(
        text,
        r#"<text class="title" x="12" y="28">What is said of an event: {} faults, {} calls, each held against what happened</text>"#,
        totals.faults,
        number(totals.cells)
    )
    .unwrap();
    legend(&mut text);
    heads(&mut text);
    text.push_str(&body);
    text.push_str("</svg>\n");
    text
}

fn legend(text: &mut String) {
    let entries =
        [('N', "not_sent"), ('R', "rejected"), ('U', "unknown"), ('D', "delivered"), (RACE, "who is quicker decides")];
    let mut x = 12;
    for (letter, words) in entries {
        rectangle(text, x, 42, HALF, letter);
        writeln!(text, r#"<text x="{}" y="55">{words}</text>"#, x + HALF + 6).unwrap();
        x += HALF + 26 + 7 * words.len();
    }
    let (once, ever) = (x + 10, x + 10 + HALF);
    rectangle(text, once, 42, HALF, 'D');
    rectangle(text, ever, 42, HALF, 'N');
    writeln!(text, r#"<text x="{}" y="55">it strikes once, and for ever</text>"#, ever + HALF + 6).unwrap();
}

fn heads(text: &mut String) {
    writeln!(text, r#"<text class="quiet" x="12" y="82">{MORE}</text>"#).unwrap();
    for (index, column) in columns().iter().enumerate() {
        let x = x_of(index);
        if index % 3 == 0 {
            let kind = match (column.tls, column.reused) {
                (false, false) => "plain, new",
                (false, true) => "plain, used again",
                (true, false) => "TLS, new",
                (true, true) => "TLS, used again",
            };
            writeln!(text, r#"<text class="middle" x="{}" y="100">{kind}</text>"#, x + (3 * CELL + 4) / 2).unwrap();
        }
        let mode = match column.mode {
            Mode::Never => "never",
            Mode::Safe => "safe",
            Mode::AtLeastOnce => "at least",
        };
        writeln!(text, r#"<text class="quiet middle" x="{}" y="117">{mode}</text>"#, x + CELL / 2).unwrap();
    }
}

fn rectangle(text: &mut String, x: usize, y: usize, width: usize, letter: char) {
    let class = if letter == RACE { "race".to_owned() } else { letter.to_string() };
    writeln!(
        text,
        r#"<rect class="{class}" x="{x}" y="{y}" width="{}" height="{}" rx="2"/><text class="letter" x="{}" y="{}">{letter}</text>"#,
        width - 1,
        HEIGHT - 2,
        x + width / 2,
        y + 12,
    )
    .unwrap();
}

/// As many names as there is room for, and how many more there are.
fn label(names: &[String]) -> String {
    const ROOM: usize = 46;
    let mut text = names[0].clone();
    for (index, name) in names.iter().enumerate().skip(1) {
        let more = names.len() - index;
        let tail = format!(" + {more}");
        if text.len() + 2 + name.len() + if more > 1 { tail.len() } else { 0 } > ROOM {
            text.push_str(&tail);
            break;
        }
        text.push_str(", ");
        text.push_str(name);
    }
    text
}
