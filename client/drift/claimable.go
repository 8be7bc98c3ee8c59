package drift

import "strings"

// A service gives names under a suffix to whoever asks for them: an alias that
// points to a name that was given back can be taken over.
type service struct {
	suffix string
	name   string
	always bool // the suffix answers also for names that nobody has
}

// services are those whose names are known to have been taken over.
var services = []service{
	{"s3.amazonaws.com", "Amazon S3", true},
	{"elasticbeanstalk.com", "AWS Elastic Beanstalk", false},
	{"azurewebsites.net", "Azure App Service", false},
	{"cloudapp.net", "Azure Cloud Services", false},
	{"cloudapp.azure.com", "Azure virtual machines", false},
	{"trafficmanager.net", "Azure Traffic Manager", false},
	{"blob.core.windows.net", "Azure Blob Storage", false},
	{"azureedge.net", "Azure CDN", false},
	{"azure-api.net", "Azure API Management", false},
	{"azurecontainer.io", "Azure Container Instances", false},
	{"azurestaticapps.net", "Azure Static Web Apps", false},
	{"servicebus.windows.net", "Azure Service Bus", false},
	{"database.windows.net", "Azure SQL", false},
	{"search.windows.net", "Azure Search", false},
	{"redis.cache.windows.net", "Azure Cache", false},
	{"github.io", "GitHub Pages", true},
	{"gitlab.io", "GitLab Pages", true},
	{"bitbucket.io", "Bitbucket", true},
	{"herokuapp.com", "Heroku", true},
	{"herokudns.com", "Heroku", false},
	{"netlify.app", "Netlify", true},
	{"vercel.app", "Vercel", true},
	{"pages.dev", "Cloudflare Pages", false},
	{"surge.sh", "Surge", true},
	{"readme.io", "ReadMe", true},
	{"pantheonsite.io", "Pantheon", true},
	{"wordpress.com", "WordPress.com", true},
	{"ghost.io", "Ghost", true},
	{"webflow.io", "Webflow", true},
	{"unbouncepages.com", "Unbounce", true},
	{"uservoice.com", "UserVoice", true},
	{"helpscoutdocs.com", "Help Scout", true},
	{"ngrok.io", "ngrok", true},
	{"firebaseapp.com", "Firebase", true},
	{"web.app", "Firebase", true},
}

// claimable returns the service that gives out a name.
func claimable(name string) (service, bool) {
	for _, s := range services {
		if strings.HasSuffix(name, "."+s.suffix) {
			return s, true
		}
	}
	// S3 has a suffix for each region: bucket.s3.eu-west-1.amazonaws.com,
	// bucket.s3-website-us-east-1.amazonaws.com.
	if rest, ok := strings.CutSuffix(name, ".amazonaws.com"); ok && (strings.Contains(rest, ".s3-") || strings.Contains(rest, ".s3.")) {
		return service{name: "Amazon S3", always: true}, true
	}
	return service{}, false
}
