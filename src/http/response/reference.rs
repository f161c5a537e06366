//! Compares the reader of responses with ureq, an independent one. Both read the same generated
//! responses, valid and mutated, and may differ only where [`DIFFERENCES`] says so.
//!
//! The seed is printed. `REFERENCE_SEED` repeats a run, and `REFERENCE_RESPONSES` sets its length:
//! scripts/reference.sh.

mod differences;
mod generator;
mod outcome;
mod shape;
mod ureq;

use std::collections::BTreeMap;
use std::{env, fmt};

use super::super::failure::Progress;
use super::super::feed::Fed;
use super::super::response_builder::ResponseBuilder;
use super::{ResponseReader, Reuse};
use differences::{DIFFERENCES, Difference};
use generator::{Case, Generator};
use outcome::{Aspect, Headers, MAX_BODY_BYTES, Outcome, Reading, differences};
use shape::Shape;
use ureq::Ureq;

/// A function that reads a case: the reader itself, or one with a planted fault.
type Reader = fn(&Case) -> Outcome;

/// Reads the case with the library's reader.
fn read(case: &Case) -> Outcome {
    let mut reader = ResponseReader::new(MAX_BODY_BYTES);
    let (mut used, mut arrived) = (0, 0);
    let mut result = Ok(());
    for piece in &case.pieces {
        arrived += piece;
        match reader.read(&case.bytes[used..arrived]) {
            Ok(length) => used += length,
            Err(why) => result = Err(why),
        }
        if result.is_err() || reader.is_complete() {
            break;
        }
    }
    let result = result.and_then(|()| reader.end());
    let (status, keeps_alive) = (reader.status(), reader.reuse() != Reuse::Never);
    match (result, reader.into_response(true)) {
        (Ok(()), Some(response)) => Outcome::Complete(Reading {
            status: response.status,
            body: response.body,
            left_over: Some(case.bytes.len() - used),
            keeps_alive: Some(keeps_alive),
            headers: Some(Headers { retry_after: response.retry_after, date: response.date }),
        }),
        (Ok(()), None) => panic!("complete without a response: {}", case.bytes.escape_ascii()),
        (Err(_), response) => {
            Outcome::Failed { status, body: response.map(|response| response.body).unwrap_or_default() }
        }
    }
}

/// A rule that a reader breaks with a case.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// It reads a valid response wrongly.
    Valid(Outcome),
    /// It reads the response differently when the bytes arrive at once.
    Pieces(Outcome),
    /// It accepts a response that this difference says it refuses.
    Accepted(&'static str),
    /// It reports a status without a complete status line, or none with a complete one.
    Status,
    /// It differs from ureq, and the table does not say so.
    Differs(Outcome),
}

impl Fault {
    /// Returns its kind. Faults of one kind probably have one cause.
    fn kind(&self, reader: Reader, case: &Case) -> String {
        match self {
            Fault::Valid(expected) => format!("valid, {:?}", differences(&reader(case), expected)),
            Fault::Pieces(whole) => format!("in pieces, {:?}", differences(&reader(case), whole)),
            Fault::Accepted(difference) => format!("accepted, {difference}"),
            Fault::Status => "status".to_owned(),
            Fault::Differs(theirs) => format!("not in the table, {:?}", differences(&reader(case), theirs)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Valid(expected) => write!(f, "it is valid, and is {expected}"),
            Fault::Pieces(whole) => write!(f, "at once, it is {whole}"),
            Fault::Accepted(difference) => write!(f, "it must be refused: {difference}"),
            Fault::Status => write!(f, "the status must be known exactly if its line is complete"),
            Fault::Differs(theirs) => write!(f, "ureq: {theirs}"),
        }
    }
}

/// Returns the differences of the table that the case shows.
fn compare(case: &Case, reader: Reader, ureq: &Ureq) -> Result<Vec<&'static Difference>, Fault> {
    let ours = reader(case);
    if let Some(expected) = case.expected.as_ref().filter(|expected| !ours.agrees_with(expected)) {
        return Err(Fault::Valid(expected.clone()));
    }
    let whole = reader(&Case::whole(case.bytes.clone()));
    if !ours.agrees_with(&whole) {
        return Err(Fault::Pieces(whole));
    }
    let shape = Shape::of(&case.bytes);
    // The rest of a refusal with a long body is not read.
    let is_truncated = matches!(&ours, Outcome::Complete(reading) if reading.body.len() == MAX_BODY_BYTES);
    let must_fail = |row: &&Difference| row.aspects.contains(&Aspect::WeRefuse) && (row.shape)(&shape);
    match (&ours, DIFFERENCES.iter().find(must_fail)) {
        (Outcome::Complete(_), Some(row)) if !is_truncated => return Err(Fault::Accepted(row.name)),
        (Outcome::Failed { status, .. }, _) => {
            // After a broken interim response, the final status need not be known.
            let is_excused = status.is_none() && !shape.interim().is_empty();
            if *status != shape.known_status() && !is_excused {
                return Err(Fault::Status);
            }
        }
        _ => {}
    }
    let theirs = ureq.read(case);
    let mut rows = Vec::new();
    for aspect in differences(&ours, &theirs) {
        let before = rows.len();
        rows.extend(DIFFERENCES.iter().filter(|row| row.aspects.contains(&aspect) && (row.shape)(&shape)));
        if rows.len() == before {
            return Err(Fault::Differs(theirs));
        }
    }
    Ok(rows)
}

/// Removes bytes from a case for as long as the same kind of fault remains.
fn shrink(case: &Case, reader: Reader, ureq: &Ureq) -> Case {
    let fault = |case: &Case| compare(case, reader, ureq).err().map(|fault| fault.kind(reader, case));
    let wanted = fault(case);
    let candidate = |bytes: Vec<u8>| {
        let single = Case { pieces: vec![1; bytes.len()], bytes: bytes.clone(), expected: None };
        [Case::whole(bytes), single].into_iter().find(|case| fault(case) == wanted)
    };
    let Some(mut smallest) = candidate(case.bytes.clone()) else { return case.clone() };
    let mut length = smallest.bytes.len() / 2;
    while length > 0 {
        let mut start = 0;
        while start + length <= smallest.bytes.len() {
            let rest = [&smallest.bytes[..start], &smallest.bytes[start + length..]].concat();
            match candidate(rest) {
                Some(smaller) => smallest = smaller,
                None => start += length.div_ceil(2),
            }
        }
        length /= 2;
    }
    smallest
}

/// How often each kind of fault occurred, and its smallest case.
type Faults = BTreeMap<String, (usize, Case)>;

/// Compares on generated cases. Returns how often each difference of the table occurred, and the
/// faults.
fn run(seed: u64, count: usize, reader: Reader) -> (Vec<usize>, Faults) {
    let (mut generator, ureq) = (Generator::new(seed), Ureq::new());
    let mut counts = vec![0; DIFFERENCES.len()];
    let mut faults = Faults::new();
    for _ in 0..count {
        let case = generator.next();
        match compare(&case, reader, &ureq) {
            Ok(rows) => {
                for (row, count) in DIFFERENCES.iter().zip(&mut counts) {
                    *count += usize::from(rows.iter().any(|other| other.name == row.name));
                }
            }
            Err(fault) => {
                let (count, smallest) = faults.entry(fault.kind(reader, &case)).or_insert_with(|| (0, case.clone()));
                *count += 1;
                if case.bytes.len() < smallest.bytes.len() {
                    *smallest = case;
                }
            }
        }
    }
    (counts, faults)
}

fn describe(case: &Case, reader: Reader, ureq: &Ureq) -> String {
    let fault = compare(case, reader, ureq).err().map_or_else(String::new, |fault| fault.to_string());
    let pieces = if case.pieces.len() == 1 { String::new() } else { format!(" in pieces of {:?}", case.pieces) };
    format!("\"{}\"{pieces}\n    ours: {}\n    {fault}", case.bytes.escape_ascii(), reader(case))
}

/// Returns the faults of a reader with the examples of the table.
fn stale_differences(reader: Reader) -> Vec<String> {
    let ureq = Ureq::new();
    let mut faults = Vec::new();
    for row in &DIFFERENCES {
        let example = Case::whole((row.example)());
        match compare(&example, reader, &ureq) {
            Ok(rows) if rows.iter().any(|other| other.name == row.name) => {}
            Ok(_) => faults.push(format!("{}: this difference does not exist", row.name)),
            Err(_) => faults.push(format!("{}: {}", row.name, describe(&example, reader, &ureq))),
        }
    }
    faults
}

#[test]
fn the_reader_differs_from_ureq_only_where_the_table_says_so() {
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let seed = number("REFERENCE_SEED").unwrap_or_else(|| getrandom::u64().unwrap().max(1));
    let count = number("REFERENCE_RESPONSES").unwrap_or(5000);
    println!("REFERENCE_SEED={seed} REFERENCE_RESPONSES={count}");
    let (counts, faults) = run(seed, usize::try_from(count).unwrap(), read);
    for (row, count) in DIFFERENCES.iter().zip(counts) {
        println!("{count:>7} {:?}: {} ({})", row.aspects, row.name, row.reason);
    }
    let ureq = Ureq::new();
    let describe = |(kind, (count, case)): (String, (usize, Case))| {
        format!("{count} times: {kind}\n{}", describe(&shrink(&case, read, &ureq), read, &ureq))
    };
    let faults: Vec<_> = faults.into_iter().map(describe).collect();
    assert!(faults.is_empty(), "REFERENCE_SEED={seed}\n{}", faults.join("\n"));
}

/// Reads the case as a program with its own sockets does, in pieces of these lengths.
fn fed(case: &Case, pieces: &[usize]) -> Outcome {
    let (mut builder, mut used) = (ResponseBuilder::limited_to(MAX_BODY_BYTES), 0);
    let (mut arrived, mut fed) = (0, Fed::More);
    for piece in pieces {
        let (result, length) = builder.feed(&case.bytes[arrived..arrived + piece]);
        assert!(result != Fed::More || length == *piece);
        (fed, arrived, used) = (result, arrived + piece, used + length);
        if fed != Fed::More {
            break;
        }
    }
    if fed == Fed::More {
        fed = builder.feed(b"").0;
    }
    match (fed, builder.into_exchange()) {
        (Fed::Whole, Ok(response)) => Outcome::Complete(Reading {
            status: response.status,
            body: response.body,
            left_over: Some(case.bytes.len() - used),
            keeps_alive: None,
            headers: Some(Headers { retry_after: response.retry_after, date: response.date }),
        }),
        (Fed::Broken, Err(failure)) => {
            let status = if let Progress::Answered(status) = failure.progress { Some(status) } else { None };
            Outcome::Failed { status, body: vec![] }
        }
        (fed, exchange) => panic!("{fed:?} with {exchange:?}: {}", case.bytes.escape_ascii()),
    }
}

#[test]
fn a_response_that_is_fed_is_read_as_on_a_connection() {
    let count = env::var("REFERENCE_RESPONSES").ok().map_or(1000, |count| count.parse().unwrap());
    let mut generator = Generator::new(getrandom::u64().unwrap().max(1));
    for _ in 0..count {
        let case = generator.next();
        let ours = read(&case);
        let single = vec![1; case.bytes.len()];
        let whole = if case.bytes.is_empty() { vec![] } else { vec![case.bytes.len()] };
        for pieces in [&case.pieces, &single, &whole] {
            let fed = fed(&case, pieces);
            let context = || format!("{ours} {fed} \"{}\" {pieces:?}", case.bytes.escape_ascii());
            match (&ours, &fed) {
                (Outcome::Complete(ours), Outcome::Complete(fed)) => {
                    let fed = Reading { keeps_alive: ours.keeps_alive, ..fed.clone() };
                    assert!(*ours == fed, "{}", context());
                }
                // The status of a refusal decides, whatever its body.
                (Outcome::Failed { status, body }, Outcome::Complete(fed)) => {
                    let is_refusal = *status == Some(fed.status) && !(200..300).contains(&fed.status);
                    assert!(is_refusal && *body == fed.body, "{}", context());
                }
                (Outcome::Failed { status: ours, .. }, Outcome::Failed { status, .. }) => {
                    assert!(ours == status || !Shape::of(&case.bytes).interim().is_empty(), "{}", context());
                }
                _ => panic!("{}", context()),
            }
        }
    }
}

#[test]
fn each_difference_of_the_table_exists() {
    let faults = stale_differences(read);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_status_is_known_once_its_line_is_complete() {
    for before in ["", "\r\n", "\n\n", "HTTP/1.1 100 \r\n\r\n"] {
        for (line, known) in [("HTTP/1.1 401", None), ("HTTP/1.1 401 \r", None), ("HTTP/1.1 401\r\n", Some(401))] {
            let outcome = read(&Case::whole(format!("{before}{line}").into_bytes()));
            assert_eq!(outcome, Outcome::Failed { status: known, body: vec![] }, "{before:?} {line:?}");
        }
    }
}

#[test]
fn half_of_the_responses_are_readable() {
    let mut generator = Generator::new(1);
    let ureq = Ureq::new();
    let readable = (0..1000).filter(|_| !ureq.read(&generator.next()).has_failed()).count();
    assert!((400..800).contains(&readable), "{readable} of 1000");
}

/// Readers with a fault each.
const WRONG_READERS: [(&str, Reader); 15] = [
    ("accepts a sign before the size of a chunk", |case| read(&case.with(b"\r\n+", b"\r\n"))),
    ("accepts a blank before the size of a chunk", |case| read(&case.with(b"\r\n ", b"\r\n"))),
    ("accepts a second Transfer-Encoding", |case| read(&case.with(b"\r\nTransfer-Encoding: gzip", b"\r\nx: gzip"))),
    ("accepts a list of encodings", |case| read(&case.with(b": gzip, chunked", b": chunked"))),
    ("accepts a list of lengths", |case| read(&case.with(b": 2, 2", b": 2"))),
    ("accepts chunks in HTTP/1.0", |case| match case.bytes.starts_with(b"HTTP/1.0") {
        true => read(&case.with(b"HTTP/1.0", b"HTTP/1.1")),
        false => read(case),
    }),
    ("accepts a chunked body that is cut", |case| match read(case) {
        Outcome::Failed { .. } => read(&Case::whole([case.bytes.as_slice(), b"\r\n"].concat())),
        outcome => outcome,
    }),
    ("accepts a body that is cut", |case| match read(case) {
        Outcome::Failed { status: Some(status), body } if !body.is_empty() => {
            let headers = Some(Headers { retry_after: None, date: None });
            Outcome::Complete(Reading { status, body, left_over: Some(0), keeps_alive: Some(false), headers })
        }
        outcome => outcome,
    }),
    ("loses a byte between pieces", |case| {
        altered(case, |case, reading| {
            if case.pieces.len() > 1 {
                reading.body.pop();
            }
        })
    }),
    ("takes a byte too many", |case| {
        altered(case, |_, reading| {
            reading.left_over = reading.left_over.map(|bytes| bytes.saturating_sub(1));
        })
    }),
    ("keeps all connections alive", |case| altered(case, |_, reading| reading.keeps_alive = Some(true))),
    ("keeps no connection alive", |case| altered(case, |_, reading| reading.keeps_alive = Some(false))),
    ("forgets Retry-After", |case| {
        altered(case, |_, reading| {
            reading.headers = Some(Headers { retry_after: None, date: reading.headers.take().unwrap().date });
        })
    }),
    ("takes an interim response for the final one", |case| {
        altered(case, |case, reading| {
            reading.status = Shape::of(&case.bytes).heads[0].status().unwrap_or(0);
        })
    }),
    ("forgets the status of a response that fails", |case| match read(case) {
        Outcome::Failed { body, .. } => Outcome::Failed { status: None, body },
        outcome => outcome,
    }),
];

/// Reads the case, and changes what was read.
fn altered(case: &Case, change: fn(&Case, &mut Reading)) -> Outcome {
    let mut outcome = read(case);
    if let Outcome::Complete(reading) = &mut outcome {
        change(case, reading);
    }
    outcome
}

#[test]
fn a_wrong_reader_is_found() {
    for (fault, reader) in WRONG_READERS {
        let is_found = !stale_differences(reader).is_empty() || !run(1, 1000, reader).1.is_empty();
        assert!(is_found, "a reader that {fault}");
    }
}
