-- Which event log gets this storage's events; null until somebody names it.

-- +goose Up
ALTER TABLE shared ADD COLUMN log_name text;
