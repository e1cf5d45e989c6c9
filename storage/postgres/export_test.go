package postgres

// For the tests of plans and migrations.
const (
	FollowSet     = followSet
	ListFollowing = listFollowing
	ListFollowers = listFollowers
	NewestOfEach  = newestOfEach
)

// Settings are what every connection sets.
func Settings(url string) (map[string]string, error) {
	c, err := configure(url, Options{})
	if err != nil {
		return nil, err
	}
	return c.ConnConfig.RuntimeParams, nil
}

// MigrateTo migrates to an earlier version.
var MigrateTo = migrateTo

// CompareVersion judges a server_version_num.
var CompareVersion = compareVersion
