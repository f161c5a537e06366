//! Writes `docs/delivery.md`, `docs/delivery.svg`, its summary and `docs/idempotency.svg` from the matrix. Their content does not depend
//! on time, ports or chance.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::caller::{Call, Mode};
use crate::circuit::{Outcome, Outcomes, PUBLISHERS, Sender, Trial};
use crate::matrix::{Cell, Column, Forever, PHASES, Row, columns, is_race};
use crate::oracle::Delivery;

/// The report in each cell.
pub type Said = BTreeMap<Cell, Delivery>;

/// The results of a fault in a column: if it occurs once, and every time. `None` where it cannot
/// occur.
type Shown = Option<(Option<char>, char)>;

/// Rows with the same results in every column.
struct Group<'a> {
    rows: Vec<&'a Row>,
    cells: Vec<Shown>,
}

/// Marks a cell in which a race decides what happens. The report was right each time.
const RACE: char = '~';

const fn letter(delivery: Delivery) -> char {
    match delivery {
        Delivery::NotSent => 'N',
        Delivery::Rejected => 'R',
        Delivery::Unknown => 'U',
        Delivery::Delivered => 'D',
    }
}

/// Groups the rows of a phase by their results in these columns.
fn groups<'a>(rows: &'a [Row], said: &Said, phase: &str, columns: &[Column]) -> Vec<Group<'a>> {
    grouped(rows.iter().enumerate().filter(|(_, row)| row.phase == phase), said, columns)
}

fn grouped<'a>(rows: impl Iterator<Item = (usize, &'a Row)>, said: &Said, columns: &[Column]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (number, row) in rows {
        let shown = |column: Column| -> Shown {
            let at = |forever| {
                let delivery = said.get(&Cell { row: number, column, forever })?;
                Some(if is_race(row, column) { RACE } else { letter(*delivery) })
            };
            Some((at(false), at(true)?))
        };
        let cells: Vec<Shown> = columns.iter().copied().map(shown).collect();
        match groups.iter_mut().find(|group| group.cells == cells) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { rows: vec![row], cells }),
        }
    }
    groups
}

/// Returns the name of a row.
pub fn name(row: &Row) -> String {
    match row.call {
        Call::One => row.name.clone(),
        call => format!("{} ({})", row.name, call.name()),
    }
}

/// The totals.
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

/// Returns the columns of these modes.
fn columns_of(modes: &[Mode]) -> Vec<Column> {
    columns().into_iter().filter(|column| modes.contains(&column.mode)).collect()
}

/// Returns how often this report occurs in a mode, without races.
fn count(rows: &[Row], said: &Said, mode: Mode, forever: Forever, wanted: Delivery) -> usize {
    let counts = |(cell, delivery): &(&Cell, &Delivery)| {
        cell.column.mode == mode
            && cell.forever == forever
            && **delivery == wanted
            && !is_race(&rows[cell.row], cell.column)
    };
    said.iter().filter(counts).count()
}

/// Formats a number with commas between the thousands.
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

<!-- Written by the test `delivery`; PUSHER_WRITE_DELIVERY=1 rewrites it. -->

What does the library report about an event when the network or the server fails? This page shows the result for every fault
that we know how to cause, on every kind of connection, in every retry mode. [One picture](delivery.svg) has every fault in a row; this
one counts the calls by the moment of the fault:

![The reports under faults, by the moment of the fault](delivery-summary.svg)

A test writes this page. A [server that fails on request](../tools/fault-server/README.md) keeps a ledger of what it really did:
what it read, what it published, how it responded, how the connection ended. A library preloaded into the client's process
([`witness.c`](../tests/c/witness.c)) records which bytes the kernel took. It can also make the kernel refuse them, which no
server can cause. From these two records an [oracle](../tests/delivery/oracle.rs), which shares no code with the library,
computes the correct result. `tests/delivery/main.rs` makes each call in a process of its own, through the C ABI, and compares
four things: what the library reported, what the oracle computed, how often the event was published, and this page. The test
fails if one of them differs.

## The rule

The phase of a failure decides, not the error number: a reset may come before, during and after the server's work.

| the attempt failed | delivery | status |
|---|---|---|
| before the kernel had taken the request's last byte (lookup, connection, proxy, TLS, sending), without a final status | `not_sent` | `NOT_SENT` |
| after that, without a valid status line | `unknown` | `DELIVERY_UNKNOWN` |
| after a 2xx status line: the response is truncated, malformed, too long or not JSON, came before the whole request was sent, or is so large that checking it takes longer than `timeout_ms` | `unknown` | `BAD_RESPONSE` |
| not at all: 2xx and a complete response that is JSON of any kind, or without a body | `delivered` | `OK` |
| with 3xx, 401, 403, 404, 405, 407, 415 or 429 | `rejected` | `REDIRECTED`, `UNAUTHORIZED`, … |
| with another 4xx, one event for one channel | `rejected` | `BAD_REQUEST`, `PAYLOAD_TOO_LARGE` |
| with another 4xx, several: servers apply them in order and stop at the bad one | `unknown` | the same |
| with 5xx: it may come from a proxy that has passed the request on | `unknown` | `SERVER_ERROR` |

A call with several attempts has the result of the last one. But once an attempt was `unknown`, only `delivered` can replace it.
";

const READING: &str = "\
## How to read the tables

**N** `not_sent` · **R** `rejected` · **U** `unknown` · **D** `delivered` · **~** a race decides what happens (the kernel takes
the request, or a reset arrives first); the report is compared with what happened all the same

One letter: the result is the same whether the fault occurs once or every time. Two letters: once, and every time. Empty: the
combination cannot occur (a certificate without TLS, a handshake on a reused connection). Each kind of connection has three
columns: `never`, `safe` and `at_least_once` (alo). The results of `safe` with idempotency keys are [below](#idempotency-keys), and
in the picture.

Faults with the same results in every column share a row. The call is one event on one channel unless the row says otherwise. A
large event does not fit into the kernel's buffers, so the fault occurs while it is being sent. After the response, on a reused
connection, the fault affected the previous request. The [server's table](../tools/fault-server/README.md) describes each of its
faults; those of the kernel are described below.
";

/// Returns `docs/delivery.md`.
pub fn markdown(rows: &[Row], said: &Said, circuits: &Outcomes) -> String {
    let totals = Totals::of(rows, said);
    let mut text = HEAD.to_owned();
    text.push('\n');
    text.push_str(READING);
    text.push_str("\n## Totals\n\n");
    writeln!(
        text,
        "{} faults, {} calls under them. The report was right in each: no event was reported as delivered that was not published, none as\n\
         `not_sent` or `rejected` that was published, none as `unknown` whose fate can be known; and only `at_least_once` published one twice.\n\
         (Three faults no client can detect: the server responds 200 before it has the request, and may then lose it.)\n",
        number(totals.faults),
        number(totals.cells)
    )
    .unwrap();
    text.push_str("| report | calls |\n|---|---:|\n");
    for (delivery, count) in &totals.by_delivery {
        writeln!(text, "| `{}` | {} |", delivery.name(), number(*count)).unwrap();
    }
    writeln!(text, "| decided by a race (~) | {} |\n", number(totals.races())).unwrap();
    text.push_str(&mode_totals(rows, said));
    for (phase, title) in PHASES {
        let groups = groups(rows, said, phase, &columns_of(&[Mode::Never, Mode::Safe, Mode::AtLeastOnce]));
        if groups.is_empty() {
            continue;
        }
        writeln!(text, "\n## {title}\n").unwrap();
        text.push_str("| | plain, new | | | plain, reused | | | TLS, new | | | TLS, reused | | |\n");
        text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
        text.push_str("| | never | safe | alo | never | safe | alo | never | safe | alo | never | safe | alo |\n");
        table(&mut text, &groups);
        if phase == "sending" {
            text.push('\n');
            for row in groups.iter().flat_map(|group| &group.rows) {
                writeln!(text, "- `{}`: {}", row.name, row.what).unwrap();
            }
        }
    }
    text.push_str(&circuit(rows, circuits));
    text.push_str(KEYS);
    text.push_str(&keys_totals(rows, said));
    text.push_str(&keys_rows(rows, said));
    text.push_str(SOCKUDO);
    text.push_str(SOCKUDO_TABLE);
    text.push_str(FOOT);
    text
}

/// Writes the rows of a table.
fn table(text: &mut String, groups: &[Group<'_>]) {
    for group in groups {
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
}

/// Returns the table of the modes.
fn mode_totals(rows: &[Row], said: &Said) -> String {
    let mut text = "The reports for the faults that occur once (without ~):\n\n".to_owned();
    text.push_str("| mode | `not_sent` | `rejected` | `unknown` | `delivered` |\n|---|---:|---:|---:|---:|\n");
    for mode in Mode::ALL {
        write!(text, "| {} |", mode.label()).unwrap();
        for wanted in Delivery::ALL {
            write!(text, " {} |", number(count(rows, said, mode, false, wanted))).unwrap();
        }
        text.push('\n');
    }
    text
}

const CIRCUIT: &str = "
## With a circuit breaker

Here the client has [`circuit_breaker`](connections.md#when-the-server-cannot-be-reached) with `\"failures\":1`. The fault occurs
twice, and then the server is well again. These calls are made in mode `safe`, one after the other:

| call | what happens |
|---|---|
| *opens* | its only attempt fails, and opens the circuit: it is not retried |
| *open* | nothing is sent: `NOT_SENT` with the cause `circuit`, and no attempt |
| *probe* | after the time that the refusal states, it is the probe. It fails, and the next call is refused like *open* |
| *back* | the next probe succeeds, and the call after it is sent as usual |

A publisher with one connection has three events, one in each request. The letters are the reports of the three: the first event
opens the circuit, and the probe is the next one in the queue. An event stays in the queue if it was not sent and may be retried.
While the circuit is open nothing is sent. The test follows the circuit and the queue by the records of server and kernel, as above.
Where a race decides (~) whether an event stays in the queue, it decides the fate of the next ones, too.
If the server never comes back (`refused`, `black-hole`), the publisher is closed, and *back* is empty.

";

/// Returns the part about the circuit breaker.
fn circuit(rows: &[Row], outcomes: &Outcomes) -> String {
    let any = |row: usize, is: fn(&Outcome) -> bool| {
        [false, true].into_iter().any(|tls| outcomes.get(&Trial { row, tls, sender: Sender::Calls }).is_some_and(is))
    };
    let tested = |row: usize| outcomes.keys().any(|trial| trial.row == row);
    let (opening, others): (Vec<usize>, Vec<usize>) =
        (0..rows.len()).filter(|row| tested(*row)).partition(|row| any(*row, Outcome::opens));
    // Rows with the same reports, as in the other tables.
    let mut groups: Vec<(Vec<String>, Vec<usize>)> = Vec::new();
    for row in &opening {
        let cells = circuit_cells(*row, &rows[*row], outcomes);
        match groups.iter_mut().find(|(shown, _)| *shown == cells) {
            Some((_, rows)) => rows.push(*row),
            None => groups.push((cells, vec![*row])),
        }
    }
    let names = |of: &[usize]| of.iter().map(|row| format!("`{}`", name(&rows[*row]))).collect::<Vec<_>>().join(", ");
    let opening_later: Vec<usize> =
        others.iter().copied().filter(|row| any(*row, |outcome| outcome.opened_by.is_some())).collect();
    let mut text = CIRCUIT.to_owned();
    writeln!(
        text,
        "{} faults open the circuit. The other {} do not: the server has answered, however badly. After some it reads no more\n\
         ({}): then the next call on the same connection opens the circuit.\n",
        opening.len(),
        others.len(),
        names(&opening_later)
    )
    .unwrap();
    text.push_str("| | plain, a call | | | | TLS, a call | | | | plain, a publisher | | | TLS, a publisher | | |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    text.push_str(
        "| | opens | open | probe | back | opens | open | probe | back | never | safe | alo | never | safe | alo |\n",
    );
    for (cells, of) in groups {
        writeln!(text, "| {} | {} |", names(&of), cells.join(" | ")).unwrap();
    }
    text
}

/// Returns the cells of a row about the circuit breaker.
fn circuit_cells(number: usize, row: &Row, outcomes: &Outcomes) -> Vec<String> {
    /// The calls of a trial that are shown.
    const SHOWN_CALLS: [usize; 4] = [0, 1, 2, 4];
    let outcome = |tls: bool, sender: Sender| outcomes.get(&Trial { row: number, tls, sender });
    let shown = |trial: Trial, delivery: Delivery| match delivery {
        // The attempts that suffer from the fault.
        Delivery::NotSent | Delivery::Unknown if is_race(row, trial.column()) => RACE,
        _ => letter(delivery),
    };
    let calls = |tls: bool| outcome(tls, Sender::Calls).filter(|outcome| outcome.opens());
    let mut cells = Vec::new();
    for tls in [false, true] {
        let trial = Trial { row: number, tls, sender: Sender::Calls };
        for (place, call) in SHOWN_CALLS.into_iter().enumerate() {
            cells.push(match calls(tls).map(|outcome| outcome.deliveries[call]) {
                Some(delivery) if place == 1 => letter(delivery).to_string(),
                // Only a server that is back lets a probe succeed.
                Some(_) if place == 3 && row.forever => String::new(),
                Some(delivery) => shown(trial, delivery).to_string(),
                None => String::new(),
            });
        }
    }
    for tls in [false, true] {
        for sender in PUBLISHERS {
            let trial = Trial { row: number, tls, sender };
            let letters = |delivery: &Delivery| letter(*delivery).to_string();
            cells.push(match calls(tls).and_then(|_| outcome(tls, sender)) {
                None => String::new(),
                // The race decides whether an event stays in the queue, and so the fate of the next one, too.
                Some(_) if is_race(row, trial.column()) => RACE.to_string(),
                Some(outcome) => outcome.deliveries.iter().map(letters).collect::<Vec<_>>().join(" "),
            });
        }
    }
    cells
}

const KEYS: &str = "
## Idempotency keys

Here the calls of mode `safe` are made with `\"idempotency\":\"auto\",\"server_deduplicates\":true`. The server knows keys: it does
not publish a request again whose key it knows, and answers as it did the first time. If only a part of the first request was
published, it answers 503 with `Retry-After: 1`, like sockudo. The test requires that a call is `unknown` only if none of its
attempts is `delivered` by the rule above, that each event of a `delivered` call was published once, and that none is published
twice.

![The reports of mode safe without and with idempotency keys](idempotency.svg)

";

/// Returns the totals of the mode with keys.
fn keys_totals(rows: &[Row], said: &Said) -> String {
    let of = |mode, forever| number(count(rows, said, mode, forever, Delivery::Unknown));
    format!(
        "Of the calls under faults that occur once, {} are `unknown` in mode `safe`, and {} with keys: under faults without any\n\
         response up to the deadline, with a 4xx, or after a part of several events. If a fault occurs every time, a retry\n\
         cannot help: {} and {}.",
        of(Mode::Safe, false),
        of(Mode::Keys, false),
        of(Mode::Safe, true),
        of(Mode::Keys, true),
    )
}

/// Returns the table of the faults under which keys change a report.
fn keys_rows(rows: &[Row], said: &Said) -> String {
    let at = |row: usize, column: Column, forever: Forever| said.get(&Cell { row, column, forever });
    let differs = |(number, row): &(usize, &Row)| {
        columns_of(&[Mode::Keys]).into_iter().any(|keys| {
            let safe = Column { mode: Mode::Safe, ..keys };
            !is_race(row, keys) && [false, true].iter().any(|ever| at(*number, keys, *ever) != at(*number, safe, *ever))
        })
    };
    let mut text = " Keys change the reports under these faults, and no others:\n\n".to_owned();
    text.push_str("| | plain, new | | plain, reused | | TLS, new | | TLS, reused | |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|\n");
    text.push_str("| | safe | keys | safe | keys | safe | keys | safe | keys |\n");
    table(&mut text, &grouped(rows.iter().enumerate().filter(differs), said, &columns_of(&[Mode::Safe, Mode::Keys])));
    text
}

const SOCKUDO: &str = "
### With sockudo

`scripts/idempotency.sh` publishes events to sockudo, by calls, batches and a publisher, through a proxy that breaks half of the
attempts: the response cut after each of its bytes, the connection cut after the request, no response, 5xx before and after
forwarding, a lost request. A request is broken at most three times. One event in a hundred is too large, so that sockudo refuses it
after it has claimed the key of its request, and never releases that claim. A subscriber notes what arrives. Mode is `safe`, with
`\"max_attempts\":8,\"ratio\":1`; with keys, `\"server_deduplicates\":true`. The numbers of another run differ; the zeros do not.

";

/// Written by `scripts/idempotency.sh --write`.
const SOCKUDO_TABLE: &str = include_str!("../../e2e/idempotency/table.md");

const FOOT: &str = "
## What else is tested

- **Every byte.** The response is truncated after each of its bytes, by FIN and by RST. The request is cut after each of its bytes,
  on the server's side by FIN and by RST, on the client's by `ECONNRESET` and by `EPIPE`, and under TLS after each byte of the
  handshake and of the records; without and with TLS, on new and reused connections. The report follows the rule each time.
- **Wrong clients.** The same checks run against clients that are wrong on purpose: one that retries `unknown`, one that follows
  redirects, one that takes a written request for a delivered one, one that calls every failure `unknown`, one that never
  retries, one that calls every 4xx and 5xx `rejected`, one that has no circuit breaker. Each is caught, with a
  circuit breaker too.
- **A crowd.** 100,000 events from eight threads of one client on a server that fails at random, in the modes `never` and `safe`:
  each event has one result, and the server's ledger agrees with it (`scripts/delivery.sh`).
";

const LABEL: usize = 330;
const HALF: usize = 20;
const CELL: usize = 2 * HALF;
const GAP: usize = 8;
const HEIGHT: usize = 18;
const TOP: usize = 122;
const MODES: usize = Mode::ALL.len();

/// The explanation of "+ 3".
const MORE: &str = "+ 3: three more faults have the same results in every column. docs/delivery.md lists them all.";

/// Returns the left edge of a column.
fn x_of(column: usize) -> usize {
    LABEL + column * (CELL + 2) + column / MODES * GAP
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

/// Returns `docs/delivery.svg`.
pub fn svg(rows: &[Row], said: &Said) -> String {
    let totals = Totals::of(rows, said);
    let width = x_of(columns().len()) + GAP;
    let mut body = String::new();
    let mut y = TOP;
    for (phase, title) in PHASES {
        let groups = groups(rows, said, phase, &columns());
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
         <title>What libpusher reports about an event under {} faults</title>\n\
         <desc>Rows are faults, columns are kinds of connections and retry modes; each cell has the letter of the report. \
         docs/delivery.md has the same as tables.</desc>\n<style>\n{STYLE}</style>\n",
        totals.faults
    );
    writeln!(text, r#"<rect class="paper" width="{width}" height="{height}"/>"#).unwrap();
    writeln!(
        text,
        r#"<text class="title" x="12" y="28">Reported outcome under {} faults ({} calls), each checked against what really happened</text>"#,
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

/// Returns the words of a letter in a legend.
const fn words_of(letter: char) -> &'static str {
    match letter {
        'N' => "not_sent",
        'R' => "rejected",
        'U' => "unknown",
        'D' => "delivered",
        _ => "a race decides",
    }
}

fn legend(text: &mut String) {
    let mut x = 12;
    for letter in ['N', 'R', 'U', 'D', RACE] {
        let words = words_of(letter);
        rectangle(text, x, 42, HALF, letter);
        writeln!(text, r#"<text x="{}" y="55">{words}</text>"#, x + HALF + 6).unwrap();
        x += HALF + 26 + 7 * words.len();
    }
    let (once, ever) = (x + 10, x + 10 + HALF);
    rectangle(text, once, 42, HALF, 'D');
    rectangle(text, ever, 42, HALF, 'N');
    writeln!(text, r#"<text x="{}" y="55">once, and every time</text>"#, ever + HALF + 6).unwrap();
}

fn heads(text: &mut String) {
    writeln!(text, r#"<text class="quiet" x="12" y="82">{MORE}</text>"#).unwrap();
    for (index, column) in columns().iter().enumerate() {
        let x = x_of(index);
        if index % MODES == 0 {
            let kind = match (column.tls, column.reused) {
                (false, false) => "plain, new",
                (false, true) => "plain, reused",
                (true, false) => "TLS, new",
                (true, true) => "TLS, reused",
            };
            writeln!(text, r#"<text class="middle" x="{}" y="100">{kind}</text>"#, x + (MODES * (CELL + 2) - 2) / 2)
                .unwrap();
        }
        let mode = match column.mode {
            Mode::Never => "never",
            Mode::Safe => "safe",
            Mode::Keys => "keys",
            Mode::AtLeastOnce => "at least",
        };
        writeln!(text, r#"<text class="quiet middle" x="{}" y="117">{mode}</text>"#, x + CELL / 2).unwrap();
    }
}

/// Returns the class of the colour of a letter.
fn class_of(letter: char) -> String {
    if letter == RACE { "race".to_owned() } else { letter.to_string() }
}

fn rectangle(text: &mut String, x: usize, y: usize, width: usize, letter: char) {
    writeln!(
        text,
        r#"<rect class="{}" x="{x}" y="{y}" width="{}" height="{}" rx="2"/><text class="letter" x="{}" y="{}">{letter}</text>"#,
        class_of(letter),
        width - 1,
        HEIGHT - 2,
        x + width / 2,
        y + 12,
    )
    .unwrap();
}

/// Returns `docs/idempotency.svg`: a bar for each mode, in proportion to its reports.
pub fn keys_svg(rows: &[Row], said: &Said) -> String {
    const BARS: [(Mode, &str); 2] = [(Mode::Safe, "without keys"), (Mode::Keys, "with keys")];
    bars(
        "What mode safe reports without and with idempotency keys",
        "Two bars of the same calls, by report.",
        "Mode safe: the reports under faults that occur once",
        &BARS.map(|(mode, words)| Bar {
            words,
            parts: SHOWN.map(|wanted| (letter(wanted), count(rows, said, mode, false, wanted))).to_vec(),
        }),
    )
}

/// The rows of `docs/delivery-summary.svg`, each with its phases.
const MOMENTS: [(&str, &[&str]); 5] = [
    ("no connection", &["connect", "accept", "handshake", "proxy"]),
    ("sending the request", &["sending", "request"]),
    ("after the request", &["after request"]),
    ("during the response", &["answer"]),
    ("a bad response", &["status", "after answer"]),
];

/// Returns `docs/delivery-summary.svg`: a bar for each moment of a fault, in proportion to its reports.
pub fn summary_svg(rows: &[Row], said: &Said) -> String {
    let totals = Totals::of(rows, said);
    let is_at = |cell: &Cell, phases: &[&str]| phases.contains(&rows[cell.row].phase.as_str());
    let letter_of = |cell: &Cell, delivery: Delivery| {
        if is_race(&rows[cell.row], cell.column) { RACE } else { letter(delivery) }
    };
    let bar = |(words, phases): (&'static str, &[&str])| Bar {
        words,
        parts: BAR_LETTERS
            .map(|shown| {
                let counts =
                    |(cell, delivery): &(&Cell, &Delivery)| is_at(cell, phases) && letter_of(cell, **delivery) == shown;
                (shown, said.iter().filter(counts).count())
            })
            .to_vec(),
    };
    bars(
        &format!("What libpusher reports about an event under {} faults, by the moment of the fault", totals.faults),
        "A bar for each moment, by report. docs/delivery.md has every fault.",
        &format!("{} calls under {} faults: every report was right", number(totals.cells), totals.faults),
        &MOMENTS.map(bar),
    )
}

/// A bar of a picture: its parts have the letter of a report, and the number of calls.
struct Bar {
    words: &'static str,
    parts: Vec<(char, usize)>,
}

/// Returns a picture of bars of the same length.
fn bars(about: &str, description: &str, title: &str, bars: &[Bar]) -> String {
    const WIDTH: usize = 760;
    const LEFT: usize = 140;
    const BAR: usize = WIDTH - LEFT - 12;
    const BAR_HEIGHT: usize = 26;
    const STEP: usize = BAR_HEIGHT + 8;
    const FIRST: usize = 74;
    let height = FIRST + bars.len() * STEP + 6;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>{about}</title>\n<desc>{description}</desc>\n\
         <style>\n{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    writeln!(text, r#"<text class="title" x="12" y="28">{title}</text>"#).unwrap();
    let mut x = 12;
    for letter in BAR_LETTERS {
        if bars.iter().any(|bar| bar.parts.iter().any(|part| part.0 == letter)) {
            let words = words_of(letter);
            rectangle(&mut text, x, 42, HALF, letter);
            writeln!(text, r#"<text x="{}" y="55">{words}</text>"#, x + HALF + 6).unwrap();
            x += HALF + 26 + 7 * words.len();
        }
    }
    for (index, bar) in bars.iter().enumerate() {
        let y = FIRST + index * STEP;
        let total: usize = bar.parts.iter().map(|part| part.1).sum();
        writeln!(text, r#"<text x="12" y="{}">{}</text>"#, y + 17, bar.words).unwrap();
        let mut before = 0;
        for (letter, count) in &bar.parts {
            let edge = |calls: usize| LEFT + BAR * calls / total.max(1);
            let (left, right) = (edge(before), edge(before + count));
            before += count;
            if right > left {
                let width = right - left;
                writeln!(
                    text,
                    r#"<rect class="{}" x="{left}" y="{y}" width="{}" height="{BAR_HEIGHT}"/>"#,
                    class_of(*letter),
                    width.saturating_sub(1).max(1)
                )
                .unwrap();
                // A narrow part has no room for its number.
                if width >= 8 * number(*count).len() {
                    let (middle, base) = (left + width / 2, y + 17);
                    writeln!(text, r#"<text class="letter" x="{middle}" y="{base}">{}</text>"#, number(*count))
                        .unwrap();
                }
            }
        }
    }
    text.push_str("</svg>\n");
    text
}

/// The reports in the order of the bars.
const SHOWN: [Delivery; 4] = [Delivery::Delivered, Delivery::Unknown, Delivery::Rejected, Delivery::NotSent];

/// The letters in the order of the bars.
const BAR_LETTERS: [char; 5] = ['D', 'U', 'R', 'N', RACE];

/// Returns as many names as fit, and the number of the others.
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
