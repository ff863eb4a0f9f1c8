package main

import "fmt"

// languages are those of the pages, the default first.
var languages = []string{"en", "hi"}

// translate returns a text of the pages in a language. The English is the text's name: what
// has no translation stays English, and a test finds it.
func translate(lang, english string, args ...any) string {
	text := english
	if translated, found := hindi[english]; found && lang == "hi" {
		text = translated
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

var (
	hindiDays   = [...]string{"रविवार", "सोमवार", "मंगलवार", "बुधवार", "गुरुवार", "शुक्रवार", "शनिवार"}
	hindiMonths = [...]string{
		"जनवरी", "फ़रवरी", "मार्च", "अप्रैल", "मई", "जून", "जुलाई", "अगस्त", "सितंबर", "अक्टूबर", "नवंबर", "दिसंबर",
	}
)

// hindi has the texts of the pages. Words that notify/template has are the same here.
var hindi = map[string]string{
	// around each page
	"Skip to the content":   "सीधे मुख्य भाग पर जाएँ",
	"Demonstration":         "नमूना",
	"Parts of the hospital": "अस्पताल के भाग",
	"All providers are on this machine. No money moves, and nobody is written to.": "सभी सेवाएँ इसी मशीन पर हैं। कोई पैसा नहीं लगता और किसी को असली संदेश नहीं जाता।",
	"Book":              "बुक करें",
	"Doctor":            "डॉक्टर",
	"Dashboard":         "डैशबोर्ड",
	"Video visits":      "वीडियो परामर्श",
	"Back to the start": "शुरुआत पर वापस जाएँ",

	// the first page
	"Video visits that survive everything":                                                              "वीडियो परामर्श, जो हर गड़बड़ी में भी पूरा होता है",
	"Book a visit as a patient, pay on a test page, and read the mail and the WhatsApp that come.":      "मरीज़ बनकर परामर्श बुक करें, नमूना पेज पर भुगतान करें, और जो ई-मेल और WhatsApp आएँ उन्हें पढ़ें।",
	"Break it as staff: lose an answer, send a webhook five times, expire the tokens, kill the server.": "कर्मचारी बनकर गड़बड़ी करें: जवाब खो दें, एक वेबहुक पाँच बार भेजें, टोकन समाप्त करें, सर्वर बंद करें।",
	"Look at the counter: one meeting, one charge, one mail, one message.":                              "गिनती देखें: एक मीटिंग, एक भुगतान, एक ई-मेल, एक संदेश।",
	"The doctor connects": "डॉक्टर खाता जोड़ते हैं",
	"%s connects a Google or Zoom account, where meetings will be made.": "%s अपना Google या Zoom खाता जोड़ते हैं, जिसमें मीटिंग बनेंगी।",
	"Connected":                "जुड़ा है",
	"Doctor's accounts":        "डॉक्टर के खाते",
	"A patient books and pays": "मरीज़ बुक करता है और भुगतान करता है",
	"The meeting is made once the payment is verified; then mail and WhatsApp go out.": "भुगतान की जाँच होते ही मीटिंग बनती है। फिर ई-मेल और WhatsApp जाते हैं।",
	"Book a visit":                      "परामर्श बुक करें",
	"The clinic watches, and breaks it": "क्लिनिक देखता है, और गड़बड़ी करता है",
	"The dashboard shows each new visit as it is paid for. Open it in a second window; each visit there has a timeline and a panel.": "भुगतान होते ही हर नया परामर्श डैशबोर्ड पर दिखता है। उसे दूसरी विंडो में खोलें। वहाँ हर परामर्श का घटनाक्रम और गड़बड़ी के बटन हैं।",
	"Clinic's dashboard": "क्लिनिक का डैशबोर्ड",

	// booking
	"Book a video visit": "वीडियो परामर्श बुक करें",
	"The doctor has not connected Google or Zoom yet.": "डॉक्टर ने अभी Google या Zoom नहीं जोड़ा है।",
	"Do that first":                   "पहले वह करें",
	"Your time zone":                  "आपका समय क्षेत्र",
	"Show times":                      "समय दिखाएँ",
	"Date and time":                   "तारीख और समय",
	"Your name":                       "आपका नाम",
	"E-mail":                          "ई-मेल",
	"Mobile phone, with country code": "मोबाइल नंबर, देश कोड के साथ",
	"Language of pages and messages":  "पेजों और संदेशों की भाषा",
	"Where":                           "कहाँ",
	"Continue to payment of %s":       "%s के भुगतान पर जाएँ",
	"Very soon, to try it out":        "अभी थोड़ी देर में, आज़माने के लिए",
	"%s at the clinic":                "क्लिनिक में %s",
	"%s time":                         "%s समय",
	"Please choose your time zone from the list.":                           "कृपया सूची से अपना समय क्षेत्र चुनें।",
	"Please choose another time from the list.":                             "यह समय नहीं मिल सकता। कृपया सूची से दूसरा समय चुनें।",
	"Please write your name on one line.":                                   "कृपया अपना नाम एक पंक्ति में लिखें, बहुत लंबा नहीं।",
	"Please write an e-mail address such as asha@example.org.":              "कृपया ई-मेल पता लिखें, जैसे asha@example.org।",
	"Please write the number with the country code, such as +919876543210.": "कृपया नंबर देश कोड के साथ लिखें, जैसे +919876543210।",
	"The doctor must connect this account first.":                           "पहले डॉक्टर को यह खाता जोड़ना होगा।",

	// the patient's visit
	"Your visit":                "आपका परामर्श",
	"Your visit with %s":        "%s के साथ आपका परामर्श",
	"Patient":                   "मरीज़",
	"When":                      "समय",
	"Fee":                       "शुल्क",
	"awaiting payment":          "भुगतान बाकी है",
	"booked":                    "तय है",
	"cancelled":                 "रद्द",
	"not paid in time":          "समय पर भुगतान नहीं हुआ",
	"the time is taken":         "यह समय किसी और का है",
	"paid":                      "भुगतान हो गया",
	"%s given back":             "%s लौटा दिए गए",
	"%s on its way back to you": "%s आपको लौटाए जा रहे हैं",
	"your bank sent the refund back, the clinic will call you": "आपके बैंक ने रिफ़ंड वापस भेज दिया, क्लिनिक आपको फ़ोन करेगा",
	"Pay %s":                                 "%s का भुगतान करें",
	"The time is reserved for you until %s.": "यह समय %s तक आपके लिए रखा गया है।",
	"Join the visit":                         "परामर्श में जुड़ें",
	"The button to join appears here 15 minutes before the start.":                                                      "जुड़ने का बटन शुरू होने से 15 मिनट पहले यहाँ दिखेगा।",
	"Your payment has arrived. Your link is being made.":                                                                "आपका भुगतान मिल गया है। आपका लिंक बन रहा है।",
	"Your payment has arrived. The doctor's account must be connected again; then your link is made, and you are told.": "आपका भुगतान मिल गया है। डॉक्टर का खाता फिर से जोड़ना होगा। फिर आपका लिंक बनेगा और आपको बताया जाएगा।",
	"You paid when the time was another patient's already. Your money goes back.":                                       "आपके भुगतान के समय यह समय किसी और मरीज़ का हो चुका था। आपके पैसे लौटाए जाएँगे।",
	"The visit was not paid in time.":                                                                                   "परामर्श का भुगतान समय पर नहीं हुआ।",
	"Book another time":                                                                                                 "दूसरा समय बुक करें",
	"Add it to your calendar":                                                                                           "कैलेंडर में जोड़ें",
	"The address of this page is a key.":                                                                                "इस पेज का पता एक चाबी है।",
	"Whoever has it can see your visit, join it, move it and cancel it. Do not pass it on.":                             "जिसके पास यह पता हो, वह आपका परामर्श देख सकता है, उसमें जुड़ सकता है, उसका समय बदल सकता है और उसे रद्द कर सकता है। इसे किसी को न दें।",
	"What you have received":                                                                                            "आपको ये संदेश मिले हैं",
	"Change":                                                                                                            "बदलाव",
	"New time":                                                                                                          "नया समय",
	"Move the visit":                                                                                                    "समय बदलें",
	"Cancel the visit":                                                                                                  "परामर्श रद्द करें",
	"The visit will not take place, and %s will be given back to you.":                                                  "परामर्श नहीं होगा, और %s आपको लौटाए जाएँगे।",
	"The visit will not take place.":                                                                                    "परामर्श नहीं होगा।",
	"Yes, cancel it":                                                                                                    "हाँ, रद्द करें",
	"Back to your visit":                                                                                                "अपने परामर्श पर वापस जाएँ",
	"The payment failed":                                                                                                "भुगतान नहीं हो सका",
	"The payment did not go through, and the visit is not booked. You can try again.": "भुगतान पूरा नहीं हुआ और परामर्श तय नहीं हुआ है। आप फिर से कोशिश कर सकते हैं।",

	// the receipt
	"Receipt":               "रसीद",
	"Clinic":                "क्लिनिक",
	"For":                   "किसके लिए",
	"Video visit with %s":   "%s के साथ वीडियो परामर्श",
	"Paid":                  "भुगतान",
	"Paid on":               "भुगतान का समय",
	"Payment number":        "भुगतान संख्या",
	"Visit number":          "परामर्श संख्या",
	"Refund":                "रिफ़ंड",
	"given back":            "लौटा दिया गया",
	"sent back by the bank": "बैंक ने वापस भेज दिया",
	"on its way":            "लौटाया जा रहा है",

	// what went wrong
	"That did not work": "यह नहीं हो सका",
	"Something did not answer. Nothing is lost: please try again in a minute.": "कहीं से जवाब नहीं मिला। कुछ खोया नहीं है: कृपया एक मिनट बाद फिर कोशिश करें।",
	"There is no such page.":  "ऐसा कोई पेज नहीं है।",
	"There is no such visit.": "ऐसा कोई परामर्श नहीं है।",
	"The doctor has another visit at that time. Please choose another time.": "उस समय डॉक्टर का दूसरा परामर्श है। कृपया दूसरा समय चुनें।",
	"The form cannot be read.":                                                                              "फ़ॉर्म पढ़ा नहीं जा सका।",
	"The visit has changed meanwhile. Please look at its page.":                                             "इस बीच परामर्श बदल गया है। कृपया उसका पेज देखें।",
	"There were too many logins from here. Please try again in a minute.":                                   "यहाँ से बहुत बार लॉग इन हुआ। कृपया एक मिनट बाद फिर कोशिश करें।",
	"You did not allow it. Nothing was connected.":                                                          "आपने अनुमति नहीं दी। कुछ नहीं जोड़ा गया।",
	"The calendar permission was not ticked. Please connect again and tick it.":                             "कैलेंडर की अनुमति पर निशान नहीं था। कृपया फिर से जोड़ें और निशान लगाएँ।",
	"That took too long or was used already. Please connect again.":                                         "इसमें बहुत देर हुई या यह पहले ही काम में आ चुका है। कृपया फिर से जोड़ें।",
	"You are not logged in any more. Please log in and connect again.":                                      "अब आप लॉग इन नहीं हैं। कृपया लॉग इन करके फिर से जोड़ें।",
	"Another doctor logged in meanwhile. Nothing was connected.":                                            "इस बीच किसी और डॉक्टर ने लॉग इन किया। कुछ नहीं जोड़ा गया।",
	"The answer was not one of the provider's. Nothing was connected.":                                      "जवाब उस सेवा का नहीं था। कुछ नहीं जोड़ा गया।",
	"The provider did not answer as it should. Please try again.":                                           "सेवा ने ठीक जवाब नहीं दिया। कृपया फिर कोशिश करें।",
	"The hospital's credentials were refused. Please call the technicians.":                                 "अस्पताल की पहचान नहीं मानी गई। कृपया तकनीकी कर्मचारियों से कहें।",
	"The provider gave no lasting permission. Please remove the hospital's access there and connect again.": "सेवा ने स्थायी अनुमति नहीं दी। कृपया वहाँ अस्पताल की पहुँच हटाएँ और फिर से जोड़ें।",
	"The connection could not be stored. Please try again.":                                                 "जुड़ाव सहेजा नहीं जा सका। कृपया फिर कोशिश करें।",

	// staff
	"Log in":                         "लॉग इन करें",
	"This is for the clinic's staff": "यह क्लिनिक के कर्मचारियों के लिए है",
	"In this demonstration the login has no password.": "इस नमूने में लॉग इन के लिए पासवर्ड नहीं है।",
	"Log in as %s":                   "%s के रूप में लॉग इन करें",
	"Log out":                        "लॉग आउट करें",
	"Accounts":                       "खाते",
	"Where %s meets patients":        "%s मरीज़ों से कहाँ मिलते हैं",
	"Your account is connected.":     "आपका खाता जुड़ गया है।",
	"Must be connected again.":       "इसे फिर से जोड़ना होगा।",
	"Not connected.":                 "जुड़ा नहीं है।",
	"Connect %s":                     "%s जोड़ें",
	"Disconnect %s":                  "%s हटाएँ",
	"No account is connected.":       "कोई खाता जुड़ा नहीं है।",
	"The doctor's day":               "डॉक्टर का दिन",
	"The day of %s":                  "%s का दिन",
	"Today":                          "आज",
	"Later":                          "बाद में",
	"No visits today.":               "आज कोई परामर्श नहीं है।",
	"waits since %s":                 "%s से प्रतीक्षा में",
	"not there yet":                  "अभी नहीं आए",
	"Enter as host":                  "मेज़बान के रूप में जुड़ें",
	"Visits at %s":                   "%s में परामर्श",
	"Visits":                         "परामर्श",
	"Status":                         "स्थिति",
	"live":                           "लाइव",
	"connecting…":                    "जोड़ा जा रहा है…",
	"not permitted":                  "अनुमति नहीं है",
	"please load this page again":    "कृपया यह पेज फिर से खोलें",
	"connection lost, trying again…": "कनेक्शन टूट गया, फिर कोशिश हो रही है…",
	"No visits yet. They appear here as they are paid for, without a reload.": "अभी कोई परामर्श नहीं है। भुगतान होते ही वे यहाँ अपने आप दिखेंगे।",
	"A visit":     "एक परामर्श",
	"Visit of %s": "%s का परामर्श",
	"Counter":     "गिनती",
	"meetings":    "मीटिंग",
	"charges":     "भुगतान",
	"mails":       "ई-मेल",
	"messages":    "संदेश",
	"As the providers have it. Of mails and messages: the most copies that anybody has of one.": "जैसा सेवाओं के पास है। ई-मेल और संदेश: किसी एक की सबसे अधिक प्रतियाँ।",
	"Somebody must look":                            "किसी को देखना होगा",
	"Cancel for the clinic":                         "क्लिनिक की ओर से रद्द करें",
	"The patient is told, and gets back all of %s.": "मरीज़ को बताया जाएगा, और पूरे %s लौटाए जाएँगे।",
	"Timeline": "घटनाक्रम",
	"Times are UTC. Wire is what the providers have seen; work is what the hospital tried.": "समय UTC में है। Wire: सेवाओं ने जो देखा। Work: अस्पताल ने जो किया।",
	"Messages":               "संदेश",
	"Message":                "संदेश",
	"By":                     "किससे",
	"State":                  "स्थिति",
	"Number at the provider": "सेवा में संख्या",
	"To the dashboard":       "डैशबोर्ड पर जाएँ",

	// the panel
	"Break it":                             "गड़बड़ी करें",
	"There is nothing of that yet.":        "अभी ऐसा कुछ नहीं है।",
	"Kill -9 the server now":               "सर्वर अभी बंद करें (kill -9)",
	"Lose the answer to the next order":    "अगले ऑर्डर का जवाब खो दें",
	"Lose the answer to the next meeting":  "अगली मीटिंग का जवाब खो दें",
	"Lose the answer to the next mail":     "अगले ई-मेल का जवाब खो दें",
	"Lose the answer to the next WhatsApp": "अगले WhatsApp का जवाब खो दें",
	"Send the last webhook five times":     "आख़िरी वेबहुक पाँच बार भेजें",
	"Hold the webhooks":                    "वेबहुक रोकें",
	"Release the webhooks":                 "वेबहुक छोड़ें",
	"Expire the doctor's tokens":           "डॉक्टर के टोकन समाप्त करें",
	"Refuse the next mail":                 "अगला ई-मेल अस्वीकार करें",
	"Have the last WhatsApp fail now":      "आख़िरी WhatsApp को अब विफल करें",
	"Waits to happen":                      "होने वाला है",
	"Webhooks held: %d":                    "रोके गए वेबहुक: %d",
}
