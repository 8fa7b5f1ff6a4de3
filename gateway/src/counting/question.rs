//! What the law asks, as keys and arguments of the script, and the script's answer as the law wants it.

use std::time::Duration;

use redis::{Script, ScriptInvocation, Value};
use toolgate_policy::{Admission, Charge, Demand, Full, Group, NoRoom, Reply, Taken};

use super::key::Keys;

/// Amounts are two limbs of so much: a script's numbers are exact only below 2^53.
const LIMB: u128 = 1_000_000_000_000_000;

/// A demand on its way to the store.
#[derive(Debug)]
pub(super) struct Question<'a> {
    demand: &'a Demand,
    // For each group the answer that needs no store.
    known: Vec<Option<NoRoom>>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub reply: Reply,
    /// For how long the server is paused; nothing was taken then.
    pub paused: Option<Duration>,
}

impl<'a> Question<'a> {
    pub(super) fn new(demand: &'a Demand) -> Self {
        Self { demand, known: demand.groups().map(Group::never_fits).collect() }
    }

    /// The script with its keys and arguments.
    pub(super) fn invocation<'s>(&self, script: &'s Script, keys: &Keys) -> ScriptInvocation<'s> {
        let mut invocation = script.prepare_invoke();
        invocation.key(keys.pause()).arg(self.known.len());
        let binds = self.known.first().is_none_or(Option::is_none);
        for (group, known) in self.demand.groups().zip(&self.known) {
            let charges = if known.is_none() { group.charges.as_slice() } else { &[] };
            invocation.arg(u8::from(group.take && binds)).arg(charges.len());
            for charge in charges {
                invocation.key(keys.counter(&charge.key));
                write(charge, &mut invocation);
            }
        }
        invocation
    }

    /// Reads the script's answer. None: it is not one to this question.
    pub(super) fn read(&self, value: &Value) -> Option<Answer> {
        let Value::Array(parts) = value else { return None };
        let (Value::Int(_instant), rest) = parts.split_first()? else { return None };
        let (paused, groups) = rest.split_first()?;
        let paused = Some(microseconds(paused)?).filter(|paused| !paused.is_zero());
        if groups.len() != self.known.len() {
            return None;
        }
        let mut answers = Vec::new();
        for ((group, known), value) in self.demand.groups().zip(&self.known).zip(groups) {
            answers.push(match known {
                Some(no_room) => Err(*no_room),
                None => read_group(group, value)?,
            });
        }
        // A call that has room and was charged nothing must not get through.
        let binding = &self.demand.binding;
        let wanted = binding.take && !binding.charges.is_empty() && paused.is_none();
        if wanted && matches!(answers.first(), Some(Ok(taken)) if taken.is_empty()) {
            return None;
        }
        let mut answers = answers.into_iter();
        let reply = Reply { binding: answers.next()?, watching: answers.collect() };
        Some(Answer { reply, paused })
    }
}

/// The keys and arguments that give back what was taken.
pub(super) fn give_back<'s>(script: &'s Script, keys: &Keys, taken: &[Taken]) -> ScriptInvocation<'s> {
    let mut invocation = script.prepare_invoke();
    for taken in taken {
        let [high, low] = limbs(taken.cost);
        invocation.key(keys.counter(&taken.key)).arg(taken.admission.0).arg(high).arg(low);
    }
    invocation
}

/// One call that weighs next to nothing, to try whether a log can be written.
pub(super) fn probe<'s>(script: &'s Script, keys: &Keys) -> ScriptInvocation<'s> {
    let mut invocation = script.prepare_invoke();
    invocation.key(keys.pause()).key(keys.probe());
    // One group, to be taken, with one charge of a millionth and one window of a second with the largest maximum.
    for argument in [1, 1, 1, 0, 1, 1, 1_000_000, 1_000_000, 0_u64] {
        invocation.arg(argument);
    }
    invocation
}

/// Gives back what nobody took, to try that.
pub(super) fn probe_back<'s>(script: &'s Script, keys: &Keys) -> ScriptInvocation<'s> {
    let mut invocation = script.prepare_invoke();
    invocation.key(keys.probe()).arg(0).arg(0).arg(1);
    invocation
}

/// Pauses what has a key.
pub(super) fn pause(script: &Script, key: String, length: Duration) -> ScriptInvocation<'_> {
    let mut invocation = script.prepare_invoke();
    invocation.key(key).arg(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
    invocation
}

fn write(charge: &Charge, invocation: &mut ScriptInvocation<'_>) {
    let [high, low] = limbs(charge.cost);
    invocation.arg(high).arg(low).arg(charge.bounds.len());
    for bound in &*charge.bounds {
        let [high, low] = limbs(bound.max);
        invocation.arg(u64::try_from(bound.length.as_micros()).unwrap_or(u64::MAX)).arg(high).arg(low);
    }
}

// What is larger than two limbs hold is larger than any maximum, and such a charge never comes here.
pub(super) fn limbs(amount: u128) -> [u64; 2] {
    [amount / LIMB, amount % LIMB].map(|limb| u64::try_from(limb).unwrap_or(u64::MAX))
}

fn read_group(group: &Group, value: &Value) -> Option<Result<Vec<Taken>, NoRoom>> {
    let Value::Array(parts) = value else { return None };
    let numbers: Vec<u64> = parts.iter().map(number).collect::<Option<_>>()?;
    match numbers.as_slice() {
        [0] => Some(Ok(Vec::new())),
        [0, admissions @ ..] if admissions.len() == group.charges.len() => {
            let taken = admissions.iter().zip(&group.charges).map(|(admission, charge)| Taken {
                key: charge.key.clone(),
                admission: Admission(*admission),
                cost: charge.cost,
            });
            Some(Ok(taken.collect()))
        }
        [1, charge, bound, wait, high, low] => {
            let remaining = whole(*high, *low);
            let wait = Some(Duration::from_micros(*wait));
            let full = Full { bound: usize::try_from(*bound).ok()?, wait, remaining };
            Some(Err(NoRoom::Full(usize::try_from(*charge).ok()?, full)))
        }
        _ => None,
    }
}

/// An amount out of its two limbs.
pub(super) fn whole(high: u64, low: u64) -> u128 {
    u128::from(high) * LIMB + u128::from(low)
}

pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn microseconds(value: &Value) -> Option<Duration> {
    number(value).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use toolgate_policy::{Bound, CounterKey};

    use super::*;

    #[test]
    fn an_answer_to_another_question_is_none() {
        let key = CounterKey { policy: "p".into(), counter: "c".into(), grant: None };
        let bounds = [Bound { length: Duration::from_mins(1), max: 9 }].into();
        let charges = vec![Charge { key, bounds, cost: 1 }];
        let demand = Demand { binding: Group { charges, take: true }, watching: Vec::new() };
        let question = Question::new(&demand);
        let read = |groups: Vec<Value>| {
            let head = vec![Value::Int(1), Value::Int(0)];
            question.read(&Value::Array([head, groups].concat()))
        };
        let group = |numbers: &[i64]| Value::Array(numbers.iter().copied().map(Value::Int).collect());
        assert!(
            read(vec![group(&[0, 7])])
                .is_some_and(|answer| { answer.reply.binding.unwrap()[0].admission == Admission(7) })
        );
        let full = Full { bound: 0, wait: Some(Duration::from_micros(5)), remaining: 3_000_000_000_000_001 };
        let answer = read(vec![group(&[1, 0, 0, 5, 3, 1])]).unwrap();
        assert_eq!(answer.reply.binding, Err(NoRoom::Full(0, full)));
        for bad in [
            vec![],
            vec![group(&[0])],
            vec![group(&[0, 7, 8])],
            vec![group(&[2])],
            vec![group(&[0]), group(&[0])],
        ] {
            assert_eq!(read(bad.clone()), None, "{bad:?}");
        }
        assert_eq!(question.read(&Value::Okay), None);
        assert_eq!(question.read(&Value::Array(vec![Value::Int(1)])), None);
        assert_eq!(read(vec![group(&[1, 0, 0, -5, 0, 0])]), None);
    }
}
