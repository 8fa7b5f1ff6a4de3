//! Identifiers that every stand-in starts with, for scripts and tests.

/// The account.
pub const ACCOUNT: u64 = 1;
/// The pipeline that new leads enter.
pub const MAIN_PIPELINE: u64 = 11;
/// Stage of the main pipeline: leads that no one has looked at.
pub const INCOMING: u64 = 101;
/// Stage of the main pipeline: the first that new leads enter.
pub const FIRST_CONTACT: u64 = 102;
/// Stage of the main pipeline.
pub const NEGOTIATION: u64 = 103;
/// Stage of the main pipeline.
pub const PROPOSAL: u64 = 104;
/// The other pipeline.
pub const RENEWALS_PIPELINE: u64 = 12;
/// The first stage of the other pipeline.
pub const REVIEW: u64 = 202;
/// Stage of every pipeline: closed and won.
pub const WON: u64 = 142;
/// Stage of every pipeline: closed and lost.
pub const LOST: u64 = 143;
/// The first of [`LEADS`] leads, in the stage [`FIRST_CONTACT`]; the others follow it without gaps.
pub const FIRST_LEAD: u64 = 1001;
/// How many leads there are.
pub const LEADS: u64 = 12;
/// The first of the contacts.
pub const FIRST_CONTACT_PERSON: u64 = 2001;
/// The first of the companies.
pub const FIRST_COMPANY: u64 = 3001;
/// The first of the tasks.
pub const FIRST_TASK: u64 = 4001;
/// The first of the notes, on the first lead.
pub const FIRST_NOTE: u64 = 5001;
/// The first of the users.
pub const FIRST_USER: u64 = 71;
/// The first of the loss reasons.
pub const FIRST_LOSS_REASON: u64 = 81;
/// A salesbot that writes a note on the lead.
pub const GREETING_BOT: u64 = 901;
/// A salesbot that moves the lead to [`LOST`].
pub const CLOSING_BOT: u64 = 902;
