// Package oracle judges home timelines: it is told of every act of the load
// before it is sent and when it is acknowledged, is shown whole scrolls, and
// says which clause of the timeline contract (T1 … T6) a scroll violates. It
// makes no call and reads no clock, so a hand-made history tests it.
//
// # What it knows
//
// An act is unknown from the moment it is sent until it is acknowledged or
// refused; one that timed out simply stays unknown, and demands and forbids
// nothing until a read shows which it was. A post that is seen exists; one that
// had to be there unless its delete happened, and is not, is deleted.
//
// # What the caller owes
//
//   - An act is announced (PostSent, DeleteSent, EdgeSent) before it is sent.
//   - A moment of an acknowledgement is read after the call returned; the Start
//     of a page before its call, its End after. Every doubt then falls on the
//     side of the server.
//   - The acts of one viewer do not overlap each other, nor the scrolls of that
//     viewer. Scrolls of one viewer may overlap.
//   - Nobody else writes to the server.
package oracle
