package audit

// SearchAtOnce sets how many bundles are searched for the newest close.
func SearchAtOnce(o *Options, bundles uint64) { o.atOnce = bundles }
