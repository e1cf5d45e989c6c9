-- The facts that all processes must agree on.

-- +goose Up

-- One row. Settings are null until an operator chooses, the token key until
-- somebody needs it.
CREATE TABLE shared (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    version   bigint  NOT NULL DEFAULT 0,
    life      bigint  NOT NULL DEFAULT 0,
    mode      smallint,
    loud_at   bigint,
    token_key bytea
);
INSERT INTO shared DEFAULT VALUES;

-- The tier history of each author who ever was loud: from froms[i] on the tier is
-- tiers[i]. version is that of the last change.
CREATE TABLE tiers (
    author  bigint     PRIMARY KEY,
    version bigint     NOT NULL,
    froms   bigint[]   NOT NULL,
    tiers   smallint[] NOT NULL
);
CREATE INDEX tiers_by_version ON tiers (version);
