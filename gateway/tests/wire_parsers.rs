//! What the gateway accepts is read alike by parsers of different laxity: serde_json, Python's and JavaScript's, as real
//! processes. Of what it refuses they do read some differently, which is why it is refused.

use std::collections::BTreeSet;
use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use toolgate_gateway::wire::message::Message;

/// Makes it a failure that an interpreter is not there.
const REQUIRE: &str = "TOOLGATE_REQUIRE_SDKS";

/// Both programs read bodies in hexadecimal, line by line, and say what they read: keys sorted, text in ASCII, numbers by
/// their value where every parser keeps it, and `!` for what they refuse.
const PYTHON: &str = r#"
import json, sys
def plain(v):
    if isinstance(v, bool) or v is None: return v
    if isinstance(v, (int, float)): return "number"
    if isinstance(v, str): return v
    if isinstance(v, list): return [plain(x) for x in v]
    return {k: plain(x) for k, x in v.items()}
for line in sys.stdin:
    try: print(json.dumps(plain(json.loads(bytes.fromhex(line.strip()))), sort_keys=True, separators=(",", ":")))
    except Exception: print("!")
"#;
const JAVASCRIPT: &str = r#"
const ascii = text => text.replace(/[\u007f-\uffff]/g, c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
const plain = v => {
    if (v === null || typeof v === "boolean") return String(v);
    if (typeof v === "number") return '"number"';
    if (typeof v === "string") return ascii(JSON.stringify(v));
    if (Array.isArray(v)) return "[" + v.map(plain).join(",") + "]";
    const points = k => [...k].map(c => c.codePointAt(0).toString(16).padStart(6, "0")).join("");
    const keys = Object.keys(v).sort((a, b) => (points(a) < points(b) ? -1 : 1));
    return "{" + keys.map(k => ascii(JSON.stringify(k)) + ":" + plain(v[k])).join(",") + "}";
};
const lines = require("fs").readFileSync(0, "utf8").split("\n");
lines.pop();
const told = lines.map(line => {
    try { return plain(JSON.parse(Buffer.from(line, "hex").toString("utf8"))); } catch { return "!"; }
});
process.stdout.write(told.join("\n") + "\n");
"#;

const SEEDS: [&str; 4] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open","arguments":{"name":"x","n":[1,2.50,-0,1e2]}}}"#,
    r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"op\u0065n","arguments":{"é":"\ud83d\ude00","":{}}}}"#,
    r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#,
    r#"{"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"\/\b\f\n\r\t\\\""}]}}"#,
];

/// What is put somewhere into a body.
const BENDS: [&str; 30] = [
    "\"name\":\"hidden\",",
    "\"Name\":\"hidden\",",
    "\"method\":\"ping\",",
    "\"\\u006eame\":\"hidden\",",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "01",
    "+1",
    "1.",
    ".5",
    "0x1",
    "'a'",
    ",",
    "//c\n",
    "/*c*/",
    "\u{feff}",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "\u{1}",
    "\u{2028}",
    "[",
    "]",
    "{",
    "}",
    " ",
    "\n",
    "\\x41",
];

fn bodies() -> BTreeSet<Vec<u8>> {
    let mut bodies = BTreeSet::new();
    for seed in SEEDS {
        for at in (0..=seed.len()).filter(|at| seed.is_char_boundary(*at)) {
            for bend in BENDS {
                bodies.insert([&seed[..at], bend, &seed[at..]].concat().into_bytes());
            }
            // One byte out, one byte that is no text in.
            bodies.insert([&seed.as_bytes()[..at], &seed.as_bytes()[(at + 1).min(seed.len())..]].concat());
            bodies.insert([&seed.as_bytes()[..at], b"\xff", &seed.as_bytes()[at..]].concat());
        }
    }
    bodies
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Number(_) => Value::String("number".to_owned()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

fn ascii(text: &str) -> String {
    let escaped = |c: char| {
        let mut units = [0; 2];
        c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
    };
    text.chars().map(|c| if c < '\u{7f}' { c.to_string() } else { escaped(c) }).collect()
}

/// None: a number beyond what it can hold, which it refuses and others take for infinite. None of them takes it for
/// another number, and policy compares no such number.
fn rust(body: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => Some(ascii(&plain(&value).to_string())),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some("!".to_owned()),
    }
}

/// What a program reads of each body; None, and said loudly, where there is no such program.
fn told(program: &str, arguments: &[&str], bodies: &[&Vec<u8>]) -> Option<Vec<String>> {
    let hexadecimal =
        |body: &&Vec<u8>| body.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let lines: Vec<String> = bodies.iter().map(hexadecimal).collect();
    let piped = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = piped else {
        let told = format!("\nNOT RUN: bodies as {program} reads them: no {program}\n");
        std::io::stderr().write_all(told.as_bytes()).expect("standard error is open");
        assert!(env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{REQUIRE}=1 makes this a failure");
        return None;
    };
    let mut input = child.stdin.take().expect("is piped");
    let writing = std::thread::spawn(move || input.write_all((lines.join("\n") + "\n").as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writing.join().expect("no panic").expect("it reads everything");
    let told = String::from_utf8(output.stdout).expect("ASCII");
    Some(told.lines().map(str::to_owned).collect())
}

#[test]
fn what_is_accepted_is_read_alike_by_parsers_of_different_laxity() {
    let bodies = bodies();
    let (accepted, refused): (Vec<_>, Vec<_>) = bodies.iter().partition(|body| Message::parse(body).is_ok());
    let written: Vec<Vec<u8>> =
        accepted.iter().map(|body| Message::parse(body).expect("it was").to_bytes()).collect();
    let written: Vec<&Vec<u8>> = written.iter().collect();
    assert!(accepted.len() > 1000 && refused.len() > 1000, "{} and {}", accepted.len(), refused.len());
    for (program, arguments) in [("python3", ["-c", PYTHON]), ("node", ["-e", JAVASCRIPT])] {
        let Some(of_accepted) = told(program, &arguments, &accepted) else { continue };
        let of_written = told(program, &arguments, &written).expect("it was there");
        assert_eq!((of_accepted.len(), of_written.len()), (accepted.len(), written.len()), "{program}");
        for ((body, came), goes) in accepted.iter().zip(&of_accepted).zip(&of_written) {
            let shown = String::from_utf8_lossy(body);
            assert_eq!(came, goes, "{program} reads what goes on as what came: {shown}");
            assert_eq!(
                *came,
                rust(body).unwrap_or_else(|| came.clone()),
                "{program} and serde_json: {shown}"
            );
        }
        let of_refused = told(program, &arguments, &refused).expect("it was there");
        let differs = refused
            .iter()
            .zip(&of_refused)
            .filter(|(body, told)| rust(body).is_some_and(|read| read != **told))
            .count();
        let told = format!(
            "{program}: {} bodies accepted and read alike; of {} refused {differs} are read in another way than by serde_json\n",
            accepted.len(),
            refused.len()
        );
        std::io::stderr().write_all(told.as_bytes()).expect("standard error is open");
        assert!(differs > 0, "{program}: the bodies bend nothing");
    }
}
